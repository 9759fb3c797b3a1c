# ruff: noqa: E501
"""The constant text that stands before a row's own text in each prompt, and the closing sentences.

The first and last sentences and the section marks are the format's; the rules and the worked
examples, with their databases, are this project's own. The lengths matter: like the originals,
the Selector's and the Decomposer's are far longer than 512 tokens, which is what makes a source
of 512 tokens say nothing of its row.
"""

SELECTOR = """\
As an experienced and professional database administrator, your task is to analyze a user question and a database schema to provide relevant information. You are given the tables of one database, and for every column its name, its meaning and, where they help, some of its values. Decide which tables and which columns somebody would need to answer the question with the evidence at hand.

[Instruction]:
1. Leave out every table that has nothing to do with the question or the evidence.
2. In a table that is needed, put the most useful columns first and keep at most 6 of them.
3. Mention every table of the schema in the answer, and use at least 3 of them where the schema allows it.
4. Give the answer as one JSON object and nothing else.

Requirements:
1. Write "keep_all" for a needed table that has 10 columns or fewer.
2. Write "drop_all" for a table that is not needed at all.
3. For any other table, list the names of the columns to keep, the most useful first.

This is what a question and its answer look like:

==========
【DB_ID】 harbour_log
【Schema】
# Table: vessel
[
  (vessel_no, registration number of the vessel.),
  (vessel_name, name painted on the hull. Value examples: ['Grey Heron', 'Anna Sofie', 'Northern Pilot', 'Tidewater', 'Marie Claire'].),
  (flag, country of registration. Value examples: ['Norway', 'Portugal', 'Malta'].),
  (kind, kind of vessel. Value examples: ['tanker', 'ferry', 'trawler', 'container'].),
  (built, year in which the vessel was built. Value examples: [1987, 1994, 2003, 2011].),
  (gross_tons, gross tonnage. Value examples: [None, 480.5, 2200.0, 15750.0].)
]
# Table: berth
[
  (berth_no, number of the berth.),
  (quay, name of the quay. Value examples: ['East Quay', 'Fish Quay', 'Long Pier'].),
  (depth, depth of water at low tide in metres. Value examples: [4.5, 6.0, 9.5, 12.0].),
  (crane, whether the berth has a crane. Value examples: ['Y', 'N']. And Y: there is a crane. N: there is none)
]
# Table: visit
[
  (visit_no, number of the visit.),
  (vessel_no, registration number of the vessel.),
  (berth_no, number of the berth.),
  (pilot_no, number of the harbour pilot.),
  (arrived, day of arrival. Value examples: ['2021-03-14'].),
  (left_port, day of departure. Value examples: [None, '2021-03-16'].),
  (last_port, port called at before. Value examples: ['Bergen', 'Porto', 'Cork'].),
  (next_port, port called at afterwards. Value examples: [None, 'Bergen', 'Vigo'].),
  (crew_size, number of people on board. Value examples: [4, 7, 12, 18, 26].),
  (harbour_fee, fee paid for the visit in euros. Value examples: [120.0, 340.0, 975.5].),
  (fee_paid, state of the payment. Value examples: ['paid', 'open', 'waived'].),
  (weather, weather at arrival. Value examples: ['calm', 'fog', 'storm', 'rain'].)
]
# Table: cargo
[
  (cargo_no, number of the cargo item.),
  (visit_no, number of the visit.),
  (goods, what is carried. Value examples: ['timber', 'salt', 'grain', 'machinery', 'frozen fish'].),
  (tons, weight in tons. Value examples: [12.0, 85.5, 140.0, 600.0].),
  (direction, whether it was loaded or unloaded. Value examples: ['in', 'out'].)
]
【Foreign keys】
visit.`vessel_no` = vessel.`vessel_no`
visit.`berth_no` = berth.`berth_no`
cargo.`visit_no` = visit.`visit_no`
【Question】
Which vessel under the Portuguese flag paid the highest fee for a visit to a berth that has a crane?
【Evidence】
under the Portuguese flag refers to flag = 'Portugal'; a berth that has a crane refers to crane = 'Y'; highest fee refers to MAX(harbour_fee)
【Answer】
```json
{
  "vessel": "keep_all",
  "berth": "keep_all",
  "visit": ["visit_no", "vessel_no", "berth_no", "harbour_fee", "fee_paid", "arrived"],
  "cargo": "drop_all"
}
```
Question Solved.

==========

Here is a new example, please start answering:

"""

DECOMPOSER = """\
Given a 【Database schema】 description, a knowledge 【Evidence】 and the 【Question】, you need to use valid SQLite and understand the database and knowledge, and then decompose the question into subquestions for text-to-SQL generation.
Keep to these rules while you write the SQL:
【Constraints】
- After `SELECT`, name just the columns that the 【Question】 asks for, and no others
- After `FROM` and `JOIN`, name only tables whose columns are used
- Where `MAX` or `MIN` is needed, join the tables first and take the maximum or minimum afterwards
- Where the value examples of a column show None, guard against it with a `JOIN` or with `IS NOT NULL`
- Where rows are sorted by a column that repeats, group by it first so that values come once

==========

【Database schema】
# Table: orchard
[
  (orchard_no, number of the orchard.),
  (village, village the orchard belongs to. Value examples: ['Lindow', 'Ashby', 'Marlow End', 'Thorpe'].),
  (area (ha), area of the orchard in hectares. Value examples: [0.8, 1.5, 2.4, 3.1].),
  (organic, whether the orchard is run organically. Value examples: [1, 0, None]. And 1: yes;. 0: no),
  (planted, year of the first planting. Value examples: [1968, 1983, 1999, 2006].)
]
# Table: tree_row
[
  (row_no, number of the row of trees.),
  (orchard_no, number of the orchard.),
  (variety, variety of fruit. Value examples: ['Bramley', 'Conference', 'Victoria', 'Morello', 'Egremont Russet'].),
  (fruit, kind of fruit. Value examples: ['apple', 'pear', 'plum', 'cherry'].),
  (tree_count, number of trees in the row. Value examples: [18, 24, 30, 42].)
]
# Table: harvest
[
  (harvest_no, number of the harvest.),
  (row_no, number of the row of trees.),
  (picked_on, day of picking. Value examples: ['2019-09-21'].),
  (crates, number of crates filled. Value examples: [None, 6, 11, 15, 28]. And one crate holds 20 kg)
]
【Foreign keys】
tree_row.`orchard_no` = orchard.`orchard_no`
harvest.`row_no` = tree_row.`row_no`
【Question】
Name the villages whose organic orchards filled more crates per tree than the average row of trees did.
【Evidence】
organic orchards refers to organic = 1 in the table orchard; crates per tree = crates / tree_count


Decompose the question into sub questions, considering 【Constraints】, and generate the SQL after thinking step by step:
Sub question 1: How many crates per tree did a row of trees fill on average?
SQL
```sql
SELECT AVG(CAST(T2.`crates` AS REAL) / T1.`tree_count`)
  FROM tree_row AS T1
  INNER JOIN harvest AS T2
  ON T1.`row_no` = T2.`row_no`
  WHERE T2.`crates` IS NOT NULL
```

Sub question 2: Which villages have organic orchards with a harvest?
SQL
```sql
SELECT DISTINCT T1.`village`
  FROM orchard AS T1
  INNER JOIN tree_row AS T2
  ON T1.`orchard_no` = T2.`orchard_no`
  INNER JOIN harvest AS T3
  ON T2.`row_no` = T3.`row_no`
  WHERE T1.`organic` = 1
```

Sub question 3: Name the villages whose organic orchards filled more crates per tree than the average row of trees did.
SQL
```sql
SELECT DISTINCT T1.`village`
  FROM orchard AS T1
  INNER JOIN tree_row AS T2
  ON T1.`orchard_no` = T2.`orchard_no`
  INNER JOIN harvest AS T3
  ON T2.`row_no` = T3.`row_no`
  WHERE T1.`organic` = 1
  AND T3.`crates` IS NOT NULL
  AND CAST(T3.`crates` AS REAL) / T2.`tree_count` > (
    SELECT AVG(CAST(T5.`crates` AS REAL) / T4.`tree_count`)
    FROM tree_row AS T4
    INNER JOIN harvest AS T5
    ON T4.`row_no` = T5.`row_no`
    WHERE T5.`crates` IS NOT NULL
  )
```

Question Solved.

==========

【Database schema】
# Table: observatory
[
  (site_no, number of the site.),
  (site_name, name of the observatory. Value examples: ['Cold Ridge', 'La Calma', 'Mount Sill', 'Two Pines'].),
  (altitude, height above the sea in metres. Value examples: [640, 1210, 2390, 2875].),
  (land, country of the site. Value examples: ['Chile', 'Spain', 'Scotland'].)
]
# Table: telescope
[
  (scope_no, number of the telescope.),
  (site_no, number of the site.),
  (mirror (cm), diameter of the main mirror. Value examples: [40, 60, 91, 120, 220].),
  (maker, workshop that built it. Value examples: ['Halden', 'Brock & Sons', 'Optika'].),
  (first_light, day of the first observation. Value examples: ['1974-05-02'].)
]
# Table: night
[
  (night_no, number of the observing night.),
  (scope_no, number of the telescope.),
  (observer, name of the observer. Value examples: ['R. Castro', 'E. Lund', 'M. Okafor', 'J. Petrov'].),
  (hours, hours of observation. Value examples: [0.0, 2.5, 5.0, 7.5]. And 0.0 means that clouds closed the dome),
  (seeing, steadiness of the air. Value examples: [None, 'good', 'fair', 'poor'].)
]
【Foreign keys】
telescope.`site_no` = observatory.`site_no`
night.`scope_no` = telescope.`scope_no`
【Question】
Who observed for the longest time at the highest observatory in Chile?
【Evidence】
highest observatory refers to MAX(altitude); in Chile refers to land = 'Chile'; for the longest time refers to MAX(SUM(hours))

Decompose the question into sub questions, considering 【Constraints】, and generate the SQL after thinking step by step:
Sub question 1: Which observatory in Chile is the highest?
SQL
```sql
SELECT `site_no`
  FROM observatory
  WHERE `land` = 'Chile'
  ORDER BY `altitude` DESC
  LIMIT 1
```

Sub question 2: Who observed for the longest time at the highest observatory in Chile?
SQL
```sql
SELECT T2.`observer`
  FROM telescope AS T1
  INNER JOIN night AS T2
  ON T1.`scope_no` = T2.`scope_no`
  WHERE T1.`site_no` = (
    SELECT `site_no`
    FROM observatory
    WHERE `land` = 'Chile'
    ORDER BY `altitude` DESC
    LIMIT 1
  )
  GROUP BY T2.`observer`
  ORDER BY SUM(T2.`hours`) DESC
  LIMIT 1
```
Question Solved.

==========

"""

DECOMPOSER_CLOSING = "Decompose the question into sub questions, considering 【Constraints】, and generate the SQL after thinking step by step:"

REFINER = """\
【Instruction】
When executing SQL below, some errors occurred, please fix up SQL based on query and database info.
The error comes first: is it a table or a column that the database does not have, an ambiguous column, an incomplete line, or a function that is not at its place? Give each table and each column the name that the database has, and each value the format of the values in the table. Keep all parts of the SQL that have no error, and drop no condition of the question. A SQL that has no error and does not match the question is not the final SQL, and a SQL with no data is not the final SQL when the database has it. Give the final SQL at the end, in one block with the label sql.
【Constraints】
- After `SELECT`, give the columns of the 【Question】 and no other column
- After `FROM` and `JOIN`, give the tables whose columns are used, and no other table
- With `MAX` or `MIN`, join the tables first and have the maximum or minimum after the join
- A column that has None in its value examples is used with a `JOIN` or with `IS NOT NULL`
- With `ORDER BY` on a column that has a value more than once, group by the column first
"""

REFINER_CLOSING = "Now please fix up the old SQL and write the new SQL in full."
