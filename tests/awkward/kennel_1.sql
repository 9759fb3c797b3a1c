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
