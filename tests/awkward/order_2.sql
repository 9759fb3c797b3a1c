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
