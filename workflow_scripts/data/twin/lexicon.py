"""The values of the twin's columns, and the vague words of its questions.

The pre-training of the stand-in model takes the same ones, so that its tokenizer knows every word
whole. The kinds of columns are explained in `worlds.py`.
"""


def words(text: str) -> list[str]:
    return text.split()


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
NAMES = {"person": (FIRST_NAMES, LAST_NAMES), "title": (TITLE_FIRST, TITLE_SECOND)}

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


def plural(noun: str) -> str:
    """'box' -> 'boxes', 'story' -> 'stories', 'tree' -> 'trees'."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
