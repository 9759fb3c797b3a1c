CREATE TABLE branch (code TEXT PRIMARY KEY, opened TEXT, staff INTEGER);
INSERT INTO branch VALUES ('north', '2010-01-15', 3), ('south', '2011-02-15', 7),
    ('east', '2012-03-15', 11), ('west', '2013-04-15', 15), ('online', '2014-05-15', 19);
CREATE TABLE entry (entry_no INTEGER PRIMARY KEY, branch TEXT REFERENCES branch, day TEXT,
    amount REAL, kind TEXT,
    quantity INTEGER, note_0 TEXT, note_1 TEXT, note_2 TEXT, note_3 TEXT, note_4 TEXT, note_5 TEXT,
    note_6 TEXT, note_7 TEXT, note_8 TEXT, note_9 TEXT, note_10 TEXT, note_11 TEXT, note_12 TEXT,
    note_13 TEXT, note_14 TEXT, note_15 TEXT, note_16 TEXT, note_17 TEXT, note_18 TEXT,
    note_19 TEXT, note_20 TEXT, note_21 TEXT, note_22 TEXT, note_23 TEXT, note_24 TEXT,
    note_25 TEXT);
-- 20,000 entries, as if by chance; all branches but online, and notes of three kinds.
WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 19999),
    drawn AS (SELECT n, n * 7919 % 20011 AS r, n * 104729 % 1009 AS s,
        iif(n % 3, 'note of ' || n, NULL) AS a, iif(n % 5, '', 'note') AS b,
        nullif('note ' || n % 7, 'note 0') AS c FROM number)
INSERT INTO entry SELECT n,
    CASE r / 12 % 4 WHEN 0 THEN 'north' WHEN 1 THEN 'south' WHEN 2 THEN 'east' ELSE 'west' END,
    printf('2020-%02d-%02d', 1 + r % 12, 1 + s % 29), round(r * 0.05, 2),
    iif(s % 5, 'sale', 'refund'), nullif(1 + s % 4, 4),
    a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b, c, a, b
    FROM drawn;
