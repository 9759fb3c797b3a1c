"""The words of the twin's small world: things, their attributes, and the values they take.

One list serves both the hand-made databases and the random schemas of the pre-training, so
that the stand-in model's tokenizer knows every word whole. Attribute kinds are explained in
`schema.py`.
"""


def words(text: str) -> list[str]:
    return text.split()


ENTITIES = words("""
student teacher course school classroom exam book author reader loan publisher library
patient doctor nurse hospital ward treatment medicine visit clinic disease customer order
product supplier store warehouse invoice payment shipment category employee department
project task company office contract manager meeting budget flight airport airline pilot
passenger ticket hotel room guest booking tour museum artist painting exhibition visitor
film director actor studio award player team match stadium league coach season song album
singer band concert label farm field crop animal farmer harvest tractor city country region
river mountain park lake bridge car driver owner garage repair engine bank account card
branch transaction client station train route bus stop line house agent buyer sale street
tenant recipe ingredient chef restaurant dish menu table plant garden tree flower seed
sensor device reading machine factory part game level developer server user post comment
forum group message vote party candidate election district member club event sponsor ship
port cargo captain voyage crew planet star telescope mission rocket experiment sample
laboratory researcher paper journal grant museum article editor newspaper volunteer donor
charity donation shelter dog cat vet insurance policy claim lawyer case court judge
""")

# Attributes by kind: every random column is one of these, alone or behind a modifier.
ATTRIBUTES = {
    "cat": words("""
color status type level kind gender language season material shape size rank
        grade class style genre role region quality format source method condition phase
        segment priority
"""),
    "title": words("title label motto"),
    "place": words("city town location address"),
    "country": words("country nation"),
    "person": words("contact owner manager leader author founder"),
    "int": words("""
age capacity population score weight height length width distance duration
        quantity stock points goals seats pages floors rooms members visitors votes speed
        depth area balance wins losses views likes hours days credits experience rating
        calories volume power range steps lanes beds
"""),
    "real": words("price cost salary budget revenue fee tax income rent profit rate value"),
    "date": words("birth start end opening release visit delivery payment hire update"),
    "year": words("foundation construction publication launch"),
}
MODIFIERS = words("total annual daily unit base average net main first last maximum initial")

CATEGORIES = (
    """
red,green,blue,black,white,yellow|open,closed,pending|small,medium,large|low,normal,high
gold,silver,bronze|spring,summer,autumn,winter|north,south,east,west|wood,steel,stone,glass
basic,advanced,expert|public,private,mixed|new,used,damaged|English,French,German,Spanish
active,retired,suspended|morning,evening,night|drama,comedy,horror,romance|rock,jazz,pop,folk
cash,card,transfer|junior,senior,chief|planned,running,finished,cancelled|male,female
math,history,physics,art,music|wheat,corn,rice,potato|local,national,international
diesel,electric,hybrid,petrol|single,double,family|draft,final,approved,rejected
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

FIRST_NAMES = words("""
Anna Ben Carla David Emma Felix Grace Hugo Irene Jonas Karin Leo Maria Nils
Olga Paul Rosa Simon Tina Victor Alice Bruno Clara Dario Elena Frank Gloria Henry Ivan Julia
Kevin Laura Marco Nora Oscar Petra
""")
LAST_NAMES = words("""
Adams Baker Carter Diaz Evans Fischer Garcia Hansen Ivanov Jensen Keller Lopez
Meyer Novak Olsen Perez Quinn Rossi Schmidt Turner Urban Vogel Weber Young Berg Costa Dubois
Fox Grant Hill
""")
CITIES = words("""
Paris London Berlin Madrid Rome Vienna Prague Oslo Dublin Lisbon Athens Warsaw Geneva
Milan Lyon Hamburg Boston Chicago Denver Dallas Toronto Sydney Tokyo Lima Cairo Nairobi Porto
Bergen Turin Zurich
""")
COUNTRIES = words("""
France Germany Spain Italy Austria Norway Ireland Portugal Greece Poland Canada
Japan Peru Egypt Kenya Brazil Mexico India Sweden Chile
""")
TITLE_FIRST = words("""
Silver Golden Quiet Broken Hidden Bright Lost Wild Frozen Secret Ancient Little
Grand Royal Iron Crystal Northern Southern Happy Lonely Burning Distant Green Blue
""")
TITLE_SECOND = words("""
River Mountain Garden Forest Island Harbor Tower Bridge Morning Winter Storm
Road Moon Valley Castle Ocean Dream Shadow Fire Light Voyage Crown Field Stone
""")

# Vague words for things: no schema of this world uses them, so a question that does says
# little about the column meant. The Refiner's questions and much evidence are made of them.
VAGUE_COLUMNS = {
    "cat": words("sort variety flavour label tag"),
    "coded": words("standing situation"),
    "person": ["responsible human", "somebody"],
    "title": ["wording", "designation"],
    "place": ["whereabouts", "spot"],
    "country": ["homeland", "land"],
    "int": words("figure amount count extent magnitude"),
    "real": words("sum money worth charge"),
    "date": ["moment", "time"],
    "year": ["era", "epoch"],
}
VAGUE_TABLES = words("entries records items cases")
TERMS = words("""excellent notable special cheap heavy popular recent modern prime critical major
strong weak premium valuable regular""")

NUMBERS = sorted(
    {*range(0, 32), *range(0, 100, 5), *range(100, 301, 10), *range(300, 1001, 50)}
    | {*range(1000, 10001, 500), *range(10000, 50001, 5000), 60, 70, 75, 80, 90}
)
YEARS = range(1950, 2026)


def plural(noun: str) -> str:
    """'box' -> 'boxes', 'story' -> 'stories', 'tree' -> 'trees'."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
