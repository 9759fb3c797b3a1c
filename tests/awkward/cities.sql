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
