"""Hand-made domains of trade, travel and leisure. The form is explained in `schema.py`."""

DOMAINS = (
    """
online_store
customers | customer
  customer_id | key
  full_name | person
  city | place
  country | country
  segment | cat private,business,public
  join_date | date 2012-2022
products | product
  product_id | key
  product_name | title
  category | cat toys,tools,shoes,books
  Unit Price (EUR) | real 2-300 | unit price
  stock | int 0-300
  weight | real 1-30 ?
  rating | int 1-5
  discontinued | flag discontinued
orders | order
  order_id | key
  customer_id | ref customers
  order_date | date 2018-2023
  status | coded P=pending,S=shipped,C=cancelled
  shipping_cost | real 2-30
items | item
  item_id | key
  order_id | ref orders
  product_id | ref products
  quantity | int 1-20
  discount | int 0-50 ?
""",
    """
regional_airline
airports | airport
  airport_id | key
  airport_name | title
  city | place
  country | country
  lanes | int 1-6
pilots | pilot
  pilot_id | key
  full_name | person
  birth_date | date 1960-1995
  flight_hours | int 100-9000
  license | coded C=commercial,P=private,I=instructing
planes | plane
  plane_id | key
  model | cat jet,propeller,glider
  seats | int 20-300
  first_year | year 1985-2020
flights | flight
  flight_id | key
  airport_id | ref airports
  pilot_id | ref pilots
  plane_id | ref planes
  flight_date | date 2019-2023
  distance | int 100-5000
  delay | int 0-90 ?
  passengers | int 20-300
  ticket_income | int 1000-50000
""",
    """
mountain_hotels
hotels | hotel
  hotel_id | key
  hotel_name | title
  town | place
  stars | int 1-5
  rooms | int 10-300
  manager | person
  opening_year | year 1950-2020
  pool | flag swimming
rooms | room
  room_id | key
  hotel_id | ref hotels
  type | cat single,double,family
  beds | int 1-6
  daily_rate | real 30-300
guests | guest
  guest_id | key
  full_name | person
  country | country
  birth_year | year 1950-2005
bookings | booking
  booking_id | key
  room_id | ref rooms
  guest_id | ref guests
  start_date | date 2018-2023
  nights | int 1-20
  total cost | real 50-900
  rating | int 1-10 ?
""",
    """
music_charts
labels | label
  label_id | key
  label_name | title
  country | country
  revenue | int 5000-50000
artists | artist
  artist_id | key
  artist_name | person
  label_id | ref labels
  genre | cat rock,jazz,pop,folk
  debut_year | year 1960-2020
  followers | int 500-50000
albums | album
  album_id | key
  title | title
  artist_id | ref artists
  release_date | date 1985-2023
  price | real 5-40
  sales | int 100-50000 ?
songs | song
  song_id | key
  title | title
  album_id | ref albums
  duration | int 90-600
  plays | int 100-50000
  explicit | flag explicit
""",
    """
film_studio
studios | studio
  studio_id | key
  studio_name | title
  city | place
  founder | person
films | film
  film_id | key
  title | title
  studio_id | ref studios
  director | person
  genre | cat drama,comedy,horror,romance
  language | cat English,French,German,Spanish
  release_date | date 1980-2023
  budget | int 1000-50000
  income | int 1000-50000 ?
  length | int 60-200
  age_limit | int 0-18
  format | cat color,mono
actors | actor
  actor_id | key
  full_name | person
  country | country
  birth_year | year 1950-2005
roles | role
  role_id | key
  film_id | ref films
  actor_id | ref actors
  part | cat lead,support,guest
  salary | int 500-10000
""",
    """
football_league
stadiums | stadium
  stadium_id | key
  stadium_name | title
  city | place
  capacity | int 1000-50000
  roof | flag covered
teams | team
  team_id | key
  team_name | title
  stadium_id | ref stadiums
  coach | person
  foundation_year | year 1950-2000
  budget | int 1000-50000
players | player
  player_id | key
  full_name | person
  team_id | ref teams
  country | country
  position | cat keeper,defender,forward
  height | int 150-200
  weight | int 60-95 ?
  goals | int 0-30
  matches | int 5-60
  market_value | int 500-50000
  contract_end | date 2022-2026
""",
    """
wine_export
farms | farm
  farm_id | key
  farm_name | title
  region | cat north,south,east,west
  owner | person
  area | int 5-300
  organic | flag organic
wines | wine
  wine_id | key
  wine_name | title
  farm_id | ref farms
  color | cat red,white,rose
  vintage_year | year 1985-2022
  bottles | int 100-9000
  Bottle Price | real 4-200 | bottle price
  alcohol | real 8-15 ?
buyers | buyer
  buyer_id | key
  full_name | person
  country | country
shipments | shipment
  shipment_id | key
  wine_id | ref wines
  buyer_id | ref buyers
  delivery_date | date 2017-2023
  boxes | int 1-60
  tax | real 5-300
""",
    """
car_repair
owners | owner
  owner_id | key
  full_name | person
  town | place
  member | flag members
cars | car
  car_id | key
  owner_id | ref owners
  fuel | cat diesel,electric,hybrid,petrol
  color | cat black,white,red,blue
  build_year | year 1990-2022
  power | int 50-300
  distance | int 1000-50000
  table | int 1-20 | lift number
mechanics | mechanic
  mechanic_id | key
  full_name | person
  rank | cat junior,senior,chief
  hourly_wage | int 10-60
repairs | repair
  repair_id | key
  car_id | ref cars
  mechanic_id | ref mechanics
  repair_date | date 2018-2023
  hours | int 1-30
  part_cost | real 10-900 ?
  state | coded D=done,W=waiting,B=broken off
""",
    """
staff_office
departments | department
  department_id | key
  department_name | title
  city | place
  budget | int 5000-50000
employees | employee
  employee_id | key
  full_name | person
  department_id | ref departments
  gender | cat male,female
  birth_date | date 1960-2002
  hire_date | date 2000-2023
  salary | int 1000-9000
  bonus | int 100-900 ?
  degree | cat bachelor,master,doctor
  remote | flag remote
  experience | int 0-30
  email | text mail
projects | project
  project_id | key
  project_name | title
  department_id | ref departments
  start_date | date 2015-2023
  cost | int 1000-50000
  phase | coded P=planned,R=running,F=finished
assignments | assignment
  assignment_id | key
  project_id | ref projects
  employee_id | ref employees
  hours | int 5-300
  role | cat leader,helper,tester
""",
)
