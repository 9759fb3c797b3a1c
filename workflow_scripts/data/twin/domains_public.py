"""Hand-made domains of public life. The form is explained in `schema.py`."""

DOMAINS = (
    """
school_district
schools | school
  school_id | key
  school_name | title
  city | place
  level | cat primary,middle,secondary
  is_charter | flag chartered
  enrollment | int 200-900
  Meal Share (%) | int 5-95 | meal share
  open_year | year 1955-2015
  budget | int 1000-9000 ?
  website | text web
  phone | text tel
teachers | teacher
  teacher_id | key
  full_name | person
  school_id | ref schools
  subject | cat math,history,physics,art,music
  salary | int 2000-9000
  hire_date | date 2001-2022
  status | coded A=active,R=retired,L=on leave
tests | test
  test_id | key
  school_id | ref schools
  year | year 2012-2020
  takers | int 20-300
  top_scores | int 1-60
  average_math | real 20-90
  average_reading | real 20-90 ?
""",
    """
city_hospital
wards | ward
  ward_id | key
  ward_name | title
  floor | int 1-9
  beds | int 4-30
  type | cat private,public,mixed
patients | patient
  patient_id | key
  full_name | person
  gender | cat male,female
  birth_date | date 1940-2012
  city | place
  blood_group | cat A,B,AB,O
  weight | int 30-110 ?
  height | int 100-200
  smoker | flag smoking
  insured | flag insured
  contact_phone | text tel
  entry_date | date 2015-2022
doctors | doctor
  doctor_id | key
  full_name | person
  ward_id | ref wards
  rank | cat junior,senior,chief
  experience | int 1-30
visits | visit
  visit_id | key
  patient_id | ref patients
  doctor_id | ref doctors
  visit_date | date 2016-2022
  cost | real 20-300
  outcome | coded H=healed,O=ongoing,T=transferred
""",
    """
town_library
publishers | publisher
  publisher_id | key
  publisher_name | title
  country | country
  foundation_year | year 1950-2005
books | book
  book_id | key
  title | title
  author | person
  publisher_id | ref publishers
  genre | cat drama,comedy,horror,romance
  language | cat English,French,German,Spanish
  pages | int 60-900
  price | real 5-80 ?
members | member
  member_id | key
  full_name | person
  town | place
  birth_year | year 1950-2012
  premium | flag paying
loans | loan
  loan_id | key
  book_id | ref books
  member_id | ref members
  start_date | date 2018-2023
  days | int 1-60
  fine | real 0-20 ?
""",
    """
election_office
districts | district
  district_id | key
  region | cat north,south,east,west
  seats | int 1-20
  population | int 5000-50000
parties | party
  party_id | key
  party_name | title
  leader | person
  foundation_year | year 1950-2018
  color | cat red,green,blue,black,white
candidates | candidate
  candidate_id | key
  full_name | person
  party_id | ref parties
  district_id | ref districts
  age | int 20-80
  gender | cat male,female
  votes | int 100-9000
  elected | flag elected
  campaign_cost | int 1000-20000 ?
""",
    """
national_parks
parks | park
  park_id | key
  park_name | title
  country | country
  area | int 50-900
  launch_year | year 1950-2010
  Entry Fee (EUR) | real 2-30 | entry fee
  visitors | int 1000-45000
animals | animal
  animal_id | key
  species | cat bear,wolf,deer,eagle,fox
  park_id | ref parks
  population | int 5-300
  condition | coded S=safe,T=threatened,E=extinct soon
  last_count | date 2012-2023 ?
rangers | ranger
  ranger_id | key
  full_name | person
  park_id | ref parks
  experience | int 1-30
  shift | cat morning,evening,night
trails | trail
  trail_id | key
  park_id | ref parks
  trail_name | title
  length | int 2-60
  height gain | int 50-900
  level | cat basic,advanced,expert
""",
    """
court_records
judges | judge
  judge_id | key
  full_name | person
  hire_date | date 1990-2018
  court | place
cases | lawsuit
  case_id | key
  judge_id | ref judges
  kind | cat civil,criminal,family
  open_date | date 2010-2022
  duration | int 10-900
  verdict | coded G=guilty,N=not guilty,D=dismissed
  claim_value | int 500-50000 ?
lawyers | lawyer
  lawyer_id | key
  full_name | person
  city | place
  fee | int 50-500
appearances | appearance
  appearance_id | key
  case_id | ref cases
  lawyer_id | ref lawyers
  role | cat defense,plaintiff
  hours | int 1-90
""",
    """
science_grants
laboratories | laboratory
  laboratory_id | key
  laboratory_name | title
  city | place
  rooms | int 2-40
researchers | researcher
  researcher_id | key
  full_name | person
  laboratory_id | ref laboratories
  field | cat biology,chemistry,physics,geology
  birth_year | year 1950-1995
  citations | int 10-900
grants | grant
  grant_id | key
  researcher_id | ref researchers
  amount | int 1000-50000
  start_date | date 2010-2022
  status | coded A=approved,D=denied,W=waiting
  score | real 1-30 ?
papers | paper
  paper_id | key
  title | title
  researcher_id | ref researchers
  publication_year | year 2000-2023
  pages | int 4-60
  open_access | flag freely readable
""",
    """
city_transport
lines | line
  line_id | key
  color | cat red,green,blue,yellow,white
  vehicle | cat bus,tram,metro
  length | int 3-60
  launch_year | year 1955-2020
stations | station
  station_id | key
  station_name | title
  zone | int 1-6
  elevator | flag accessible
  opening_date | date 1960-2020 ?
stops | stop
  stop_id | key
  line_id | ref lines
  station_id | ref stations
  order | int 1-30 | position
  wait_time | int 1-15
drivers | driver
  driver_id | key
  full_name | person
  line_id | ref lines
  wage | int 1000-5000
  hire_date | date 2000-2023
  license | cat single,double,full
""",
    """
animal_shelter
shelters | shelter
  shelter_id | key
  shelter_name | title
  city | place
  capacity | int 10-300
donors | donor
  donor_id | key
  full_name | person
  country | country
  regular | flag faithful
dogs | dog
  dog_id | key
  name | title
  shelter_id | ref shelters
  size | cat small,medium,large
  color | cat black,white,brown,mixed
  age | int 1-15
  weight | real 3-60 ?
  adopted | flag adopted
donations | donation
  donation_id | key
  donor_id | ref donors
  shelter_id | ref shelters
  amount | real 5-900
  payment_date | date 2015-2023
  method | cat cash,card,transfer
""",
)
