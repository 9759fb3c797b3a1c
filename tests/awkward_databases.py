"""Databases with the awkward traits of real ones, each with questions and gold SQL of its own.

`build(folder)` lays them out as Spider does: `databases/<db_id>/<db_id>.sqlite` and
`questions.json` with rows {db_id, question, query}. Spider may not be copied into this project;
what its databases are hard for is here made by hand, so that every run of the tests meets it:

kennel    mixed types in a column, NULL keys, repeated rows, dates as text, BLOBs, text that is
          no UTF-8, spaces, quotes, brackets and dots in names, a value with both quotes
order     tables and columns named by keywords, foreign keys without a named column, keys of two
          columns, WITHOUT ROWID, views, one of them broken
cities    names and values in several alphabets, foreign keys in a circle
archive   empty tables, columns without a type, a table without a key, NULL throughout
ledger    20,000 rows and a table of 32 columns
"""

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

KENNEL = """
CREATE TABLE "dog owners" (
    "owner id" INTEGER PRIMARY KEY, "Full Name" TEXT, [Owner's note] TEXT, "tel. (home)" TEXT
);
INSERT INTO "dog owners" VALUES
    (1, 'Ada O''Neil', 'says "sit"', '030-1'), (2, 'Bo', 'it''s "both"', NULL),
    (3, 'Cy Ünal', '', '030-3'), (4, 'Di', NULL, '030-4'), (5, 'Ada O''Neil', 'none', '030-5');
CREATE TABLE dog (
    name TEXT, age INTEGER, weight, "born on" TEXT, photo BLOB, owner INTEGER,
    FOREIGN KEY (owner) REFERENCES "dog owners" ("owner id")
);
INSERT INTO dog VALUES
    ('Rex', 3, 20.5, '2019-03-01', x'00ff10', 1), ('Rex', 3, 20.5, '2019-03-01', x'00ff10', 1),
    ('Tom', 'unknown', '18 kg', '2018-11-23', NULL, 2), ('Ünal', NULL, 7, '2020-01-31', NULL, NULL),
    ('Mia', 4.5, NULL, '31/12/2017', x'', 3), ('Zoe', '4', 12, NULL, NULL, 3),
    (CAST(x'4ae9' AS TEXT), 9, 12, '2015-05-05', NULL, 4), ('Pi', -1, 1e3, '2019-03-01', NULL, 9);
CREATE TABLE visit ("visit no" INTEGER PRIMARY KEY, owner INTEGER, day TEXT, "cost ($)" REAL,
    FOREIGN KEY (owner) REFERENCES "dog owners" ("owner id"));
INSERT INTO visit VALUES (1, 1, '2021-01-02', 30), (2, 1, '2021-02-02', 45.5),
    (3, 2, '2021-02-02', NULL), (4, 3, '2021-12-24', 30), (5, NULL, '2022-01-01', 0);
"""
KENNEL_GOLD = """
SELECT count(*) FROM dog;
SELECT "Full Name" FROM "dog owners";
SELECT DISTINCT `Full Name` FROM `dog owners`;
SELECT name FROM dog WHERE age > 3;
SELECT name FROM dog WHERE age = 'unknown';
SELECT avg(weight) FROM dog;
SELECT min(weight) , max(weight) FROM dog;
SELECT owner , count(*) FROM dog GROUP BY owner;
SELECT T1.`Full Name` FROM `dog owners` AS T1 JOIN visit AS T2 ON T1.`owner id` = T2.owner ORDER
    BY T2.`cost ($)` DESC LIMIT 1;
SELECT T1.name , T2.`Full Name` FROM dog AS T1 JOIN `dog owners` AS T2 ON T1.owner = T2.`owner id`;
SELECT `Full Name` FROM `dog owners` WHERE `owner id` NOT IN (SELECT owner FROM dog);
SELECT T2.day FROM `dog owners` AS T1 JOIN visit AS T2 ON T1.`owner id` = T2.owner WHERE T1.`Full
    Name` = "Ada O'Neil";
SELECT name FROM dog WHERE `born on` = '2019-03-01';
SELECT `Full Name` FROM `dog owners` WHERE `Owner's note` IS NULL;
SELECT count(photo) FROM dog;
SELECT name FROM dog ORDER BY weight DESC;
SELECT name , age FROM dog WHERE name LIKE '%e%';
SELECT owner FROM visit WHERE day LIKE '2021-02%' OR `cost ($)` > 40;
SELECT owner FROM visit GROUP BY owner HAVING count(*) > 1;
SELECT owner FROM dog INTERSECT SELECT owner FROM visit;
SELECT sum(`cost ($)`) FROM visit;
SELECT `Full Name` FROM `dog owners` WHERE `tel. (home)` IS NOT NULL
"""

ORDER = """
CREATE TABLE "order" ("index" INTEGER PRIMARY KEY, "from" TEXT, "where" TEXT, "limit" INTEGER,
    "desc" TEXT);
INSERT INTO "order" VALUES (1, 'Bern', 'Paris', 10, 'urgent'), (2, 'Rome', 'Bern', 20, 'NULL'),
    (3, 'Bern', 'Oslo', NULL, ''), (4, 'Oslo', 'Rome', 20, 'select * from it'),
    (5, '', '', 0, NULL);
CREATE TABLE "group" ("key" TEXT PRIMARY KEY, "values" INTEGER) WITHOUT ROWID;
INSERT INTO "group" VALUES ('a', 3), ('b', 1), ('c', 3);
CREATE TABLE "select" ("index" INTEGER REFERENCES "order", "key" TEXT REFERENCES "group",
    "count" INTEGER, PRIMARY KEY ("index", "key")) WITHOUT ROWID;
INSERT INTO "select" VALUES (1, 'a', 5), (1, 'b', 7), (2, 'a', 5), (3, 'c', 1), (4, 'b', 0);
CREATE TABLE "union" ("index" INTEGER, "key" TEXT, "date" TEXT,
    FOREIGN KEY ("index", "key") REFERENCES "select");
INSERT INTO "union" VALUES (1, 'a', '2020/1/2'), (1, 'b', '2020/10/02'), (NULL, NULL, NULL),
    (2, 'a', '2020/1/2');
CREATE VIEW "table" AS SELECT "from", count(*) AS "sum" FROM "order" GROUP BY "from";
CREATE VIEW broken AS SELECT * FROM gone;
CREATE INDEX "by" ON "order" ("from");
"""
ORDER_GOLD = """
SELECT count(*) FROM "order";
SELECT DISTINCT "from" FROM "order";
SELECT `where` FROM `order` WHERE `from` = 'Bern';
SELECT max(`limit`) , min(`limit`) FROM `order`;
SELECT `from` , count(*) FROM `order` GROUP BY `from`;
SELECT `from` FROM `order` GROUP BY `from` ORDER BY count(*) DESC LIMIT 1;
SELECT `key` FROM `group` WHERE `values` > 1;
SELECT T1.`where` , T2.`count` FROM `order` AS T1 JOIN `select` AS T2 ON T1.`index` = T2.`index`;
SELECT T1.`values` FROM `group` AS T1 JOIN `select` AS T2 ON T1.`key` = T2.`key` WHERE T2.`index`
    = 1;
SELECT `index` FROM `order` EXCEPT SELECT `index` FROM `select`;
SELECT `from` FROM `order` UNION SELECT `where` FROM `order`;
SELECT `index` FROM `order` WHERE `desc` = 'urgent';
SELECT `desc` FROM `order` WHERE `desc` LIKE 'select%';
SELECT `index` FROM `order` WHERE `limit` > (SELECT avg(`limit`) FROM `order`);
SELECT `index` FROM `order` ORDER BY `limit` , `from`;
SELECT `key` , sum(`count`) FROM `select` GROUP BY `key` HAVING sum(`count`) > 4;
SELECT `index` FROM `order` WHERE `limit` BETWEEN 5 AND 15;
SELECT `date` FROM `union` WHERE `index` = 1;
SELECT count(*) FROM "table";
SELECT `index` FROM `order` WHERE `from` = 'Bern' AND `where` = 'Oslo'
"""

CITIES = """
CREATE TABLE город (ид INTEGER PRIMARY KEY, имя TEXT, населения INTEGER, мэр INTEGER,
    FOREIGN KEY (мэр) REFERENCES 市長 (番号));
INSERT INTO город VALUES (1, 'Москва', 12600000, 1), (2, 'Київ', 2950000, 2),
    (3, 'Αθήνα', 640000, NULL), (4, '東京', 14000000, 4), (5, 'São Paulo', 12300000, 1);
CREATE TABLE 市長 (番号 INTEGER PRIMARY KEY, 名前 TEXT, año INTEGER, city INTEGER,
    FOREIGN KEY (city) REFERENCES город (ид));
INSERT INTO 市長 VALUES (1, 'Łukasz', 1970, 1), (2, 'Zoë', 1981, 2), (3, 'ﬁne', 1981, 3),
    (4, '小池', 1952, 4), (5, 'İpek', NULL, 5);
CREATE TABLE "größe" (ид INTEGER, "m²" REAL, "naïve café" TEXT,
    FOREIGN KEY (ид) REFERENCES город (ид));
INSERT INTO "größe" VALUES (1, 2561.5, 'да'), (2, 839, 'так'), (3, 38.9, 'ναι'), (4, 2194, 'はい'),
    (5, 1521.1, 'sim 👍'), (5, 1521.1, 'sim 👍');
"""
CITIES_GOLD = """
SELECT имя FROM город;
SELECT count(мэр) FROM город;
SELECT населения FROM город WHERE имя = 'Москва';
SELECT имя , населения FROM город WHERE населения > 10000000;
SELECT T2.名前 FROM город AS T1 JOIN 市長 AS T2 ON T1.мэр = T2.番号 WHERE T1.имя = '東京';
SELECT 名前 , año FROM 市長;
SELECT count(DISTINCT año) FROM 市長;
SELECT 名前 FROM 市長 WHERE año < 1975;
SELECT T1.имя FROM город AS T1 JOIN "größe" AS T2 ON T1.ид = T2.ид ORDER BY T2."m²" DESC LIMIT 1;
SELECT ид FROM "größe" WHERE "naïve café" = 'sim 👍';
SELECT avg("m²") FROM "größe";
SELECT имя FROM город WHERE мэр IS NULL;
SELECT año , count(*) FROM 市長 GROUP BY año;
SELECT año FROM 市長 GROUP BY año ORDER BY count(*) DESC LIMIT 1;
SELECT имя FROM город WHERE имя LIKE '%о' OR имя LIKE '%а';
SELECT имя FROM город ORDER BY населения;
SELECT имя FROM город WHERE населения > (SELECT avg(населения) FROM город);
SELECT мэр FROM город GROUP BY мэр HAVING count(*) >= 2;
SELECT 番号 FROM 市長 EXCEPT SELECT мэр FROM город;
SELECT T1.имя FROM город AS T1 JOIN 市長 AS T2 ON T1.мэр = T2.番号 WHERE T2.名前 = 'Łukasz'
"""

ARCHIVE = """
CREATE TABLE paper (no, title, written, shelf);
INSERT INTO paper VALUES ('1', 'On essence', '1999-01-01 10:00:00', 'A'), (2, NULL, NULL, 'A'),
    (NULL, 'On dust', '2001', NULL), (NULL, 'On dust', '2001', NULL), (4.0, '', 1999, 'B');
CREATE TABLE shelf (name PRIMARY KEY, room, "nothing");
INSERT INTO shelf VALUES ('A', 'cellar', NULL), ('B', 'attic', NULL), (NULL, 'hall', NULL);
CREATE TABLE loan (id INTEGER PRIMARY KEY AUTOINCREMENT, paper INTEGER, reader TEXT, since DATE,
    FOREIGN KEY (paper) REFERENCES paper (no));
CREATE TABLE reader (id INTEGER PRIMARY KEY, name VARCHAR(20), joined DATETIME);
CREATE VIEW lent AS SELECT paper FROM loan;
"""
ARCHIVE_GOLD = """
SELECT count(*) FROM paper;
SELECT count(title) FROM paper;
SELECT DISTINCT title FROM paper;
SELECT count(*) FROM loan;
SELECT name FROM reader;
SELECT title FROM paper WHERE no IS NULL;
SELECT title FROM paper WHERE no = '1';
SELECT T1.title FROM paper AS T1 JOIN shelf AS T2 ON T1.shelf = T2.name WHERE T2.room = 'cellar';
SELECT shelf , count(*) FROM paper GROUP BY shelf;
SELECT shelf FROM paper GROUP BY shelf ORDER BY count(*) DESC LIMIT 1;
SELECT room FROM shelf WHERE name IS NOT NULL;
SELECT no , title FROM paper WHERE title LIKE '%dust%';
SELECT name FROM shelf WHERE name NOT IN (SELECT shelf FROM paper);
SELECT max(written) FROM paper;
SELECT title FROM paper ORDER BY written;
SELECT shelf FROM paper UNION SELECT name FROM shelf WHERE room = 'attic';
SELECT reader FROM loan WHERE since > '2000-01-01';
SELECT T1.name FROM reader AS T1 JOIN loan AS T2 ON T1.name = T2.reader
"""

BRANCHES = ("north", "south", "east", "west", "online")
LEDGER = f"""
CREATE TABLE branch (code TEXT PRIMARY KEY, opened TEXT, staff INTEGER);
CREATE TABLE entry (entry_no INTEGER PRIMARY KEY, branch TEXT REFERENCES branch, day TEXT,
    amount REAL, kind TEXT, quantity INTEGER, {", ".join(f"note_{n} TEXT" for n in range(26))});
"""
LEDGER_GOLD = """
SELECT count(*) FROM entry;
SELECT branch , count(*) FROM entry GROUP BY branch;
SELECT branch , sum(amount) FROM entry GROUP BY branch;
SELECT DISTINCT kind FROM entry;
SELECT count(*) FROM entry WHERE kind = 'refund';
SELECT max(amount) FROM entry;
SELECT entry_no FROM entry WHERE amount > 990;
SELECT day FROM entry WHERE kind = 'sale' ORDER BY amount DESC LIMIT 1;
SELECT code FROM branch WHERE staff > 10;
SELECT T2.opened FROM entry AS T1 JOIN branch AS T2 ON T1.branch = T2.code WHERE T1.entry_no = 77;
SELECT count(DISTINCT day) FROM entry;
SELECT avg(amount) FROM entry WHERE kind = 'sale' AND branch = 'north';
SELECT branch FROM entry GROUP BY branch ORDER BY sum(quantity) DESC LIMIT 1;
SELECT kind FROM entry GROUP BY kind HAVING count(*) > 5000;
SELECT code FROM branch WHERE code NOT IN (SELECT branch FROM entry);
SELECT count(*) FROM entry WHERE amount BETWEEN 10 AND 20;
SELECT branch FROM entry WHERE day = '2020-02-29' AND kind = 'sale' INTERSECT SELECT branch FROM
    entry WHERE day = '2020-02-29' AND kind = 'refund';
SELECT note_0 , kind FROM entry WHERE entry_no = 5;
SELECT sum(staff) FROM branch;
SELECT code FROM branch ORDER BY opened
"""


def fill_ledger(database: sqlite3.Connection, rng: random.Random) -> None:
    staff = [(code, f"20{10 + at}-0{at + 1}-15", 4 * at + 3) for at, code in enumerate(BRANCHES)]
    database.executemany("INSERT INTO branch VALUES (?, ?, ?)", staff)
    database.executemany(
        f"INSERT INTO entry VALUES ({', '.join('?' * 32)})",
        (
            (
                number,
                rng.choice(BRANCHES[:4]),
                f"2020-{rng.randint(1, 12):02}-{rng.randint(1, 29):02}",
                round(rng.uniform(0, 1000), 2),
                rng.choice(("sale", "sale", "sale", "refund")),
                rng.choice((1, 1, 2, 3, None)),
                *(rng.choice((None, "", f"note {n} of {number}")) for n in range(26)),
            )
            for number in range(20_000)
        ),
    )


# db_id -> (script, gold SQL, what adds more rows)
Filling = Callable[[sqlite3.Connection, random.Random], None]
DATABASES: dict[str, tuple[str, str, Filling | None]] = {
    "kennel_1": (KENNEL, KENNEL_GOLD, None),
    "order_2": (ORDER, ORDER_GOLD, None),
    "cities": (CITIES, CITIES_GOLD, None),
    "archive": (ARCHIVE, ARCHIVE_GOLD, None),
    "ledger": (LEDGER, LEDGER_GOLD, fill_ledger),
}


def build(folder: Path) -> Path:
    """Write databases/ and questions.json into `folder`, the same bytes of rows every time."""
    questions = []
    for db_id, (script, gold, filling) in DATABASES.items():
        file = folder / "databases" / db_id / f"{db_id}.sqlite"
        file.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.executescript(script)
            if filling:
                filling(database, random.Random(db_id))
            database.commit()
        for number, sql in enumerate(gold.split(";\n"), 1):
            question = f"What is number {number} of {db_id}?"
            questions.append({"db_id": db_id, "question": question, "query": " ".join(sql.split())})
    text = json.dumps(questions, ensure_ascii=False, indent=1)
    (folder / "questions.json").write_text(text, encoding="utf-8")
    return folder
