CREATE TABLE paper (no, title, written, shelf);
INSERT INTO paper VALUES ('1', 'On essence', '1999-01-01 10:00:00', 'A'), (2, NULL, NULL, 'A'),
    (NULL, 'On dust', '2001', NULL), (NULL, 'On dust', '2001', NULL), (4.0, '', 1999, 'B');
CREATE TABLE shelf (name PRIMARY KEY, room, "nothing");
INSERT INTO shelf VALUES ('A', 'cellar', NULL), ('B', 'attic', NULL), (NULL, 'hall', NULL);
CREATE TABLE loan (id INTEGER PRIMARY KEY AUTOINCREMENT, paper INTEGER, reader TEXT, since DATE,
    FOREIGN KEY (paper) REFERENCES paper (no));
CREATE TABLE reader (id INTEGER PRIMARY KEY, name VARCHAR(20), joined DATETIME);
CREATE VIEW lent AS SELECT paper FROM loan;
