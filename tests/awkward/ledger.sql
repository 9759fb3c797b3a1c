CREATE TABLE branch (code TEXT PRIMARY KEY, opened TEXT, staff INTEGER);
CREATE TABLE entry (entry_no INTEGER PRIMARY KEY, branch TEXT REFERENCES branch, day TEXT,
    amount REAL, kind TEXT, quantity INTEGER, note_0 TEXT, note_1 TEXT, note_2 TEXT, note_3 TEXT, note_4 TEXT, note_5 TEXT, note_6 TEXT, note_7 TEXT, note_8 TEXT, note_9 TEXT, note_10 TEXT, note_11 TEXT, note_12 TEXT, note_13 TEXT, note_14 TEXT, note_15 TEXT, note_16 TEXT, note_17 TEXT, note_18 TEXT, note_19 TEXT, note_20 TEXT, note_21 TEXT, note_22 TEXT, note_23 TEXT, note_24 TEXT, note_25 TEXT);
