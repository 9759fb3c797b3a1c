"use strict";
// Everything from a database or a model goes into the page as text, never as HTML.
const part = (id) => document.getElementById(id);
const MOST_ROWS = 100; // shown of a result

function element(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function say(text, bad = false) {
  part("status").textContent = text;
  part("status").className = bad ? "bad" : "";
}

async function fetched(path, options) {
  const answer = await fetch(path, options);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function counted(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function cell(value) {
  if (value === null) return element("td", "NULL", "null");
  return element("td", typeof value === "object" ? `x'${value.hex}'` : String(value));
}

function showRows(did) {
  const head = element("tr");
  head.append(...did.columns.map((name) => element("th", name)));
  const rows = did.rows.slice(0, MOST_ROWS).map((row) => {
    const line = element("tr");
    line.append(...row.map(cell));
    return line;
  });
  part("rows").replaceChildren(head, ...rows);
  const first = did.row_count > rows.length ? `, the first ${rows.length} of them shown` : "";
  part("count").textContent = counted(did.row_count, "row") + first;
}

function schemaLines(trace) {
  const tables = Object.entries(trace.seen);
  const kept = tables.reduce((sum, [, columns]) => sum + columns.length, 0);
  const list = element("details");
  list.append(element("summary", `shows the others ${kept} of ${trace.columns_in_database} columns`));
  list.append(...tables.map(([name, columns]) => element("p", `${name}: ${columns.join(", ")}`)));
  return list;
}

function step(made, trace) {
  const item = element("li");
  item.append(element("h3", `${made.agent} (${made.seconds.toFixed(2)} s)`));
  if (made.unread_tokens) {
    const unread = `${counted(made.unread_tokens, "token")} of the prompt did not fit the model`;
    item.append(element("p", unread, "note"));
  }
  if (made.selection) item.append(schemaLines(trace));
  made.sub_questions.forEach((pair, place) => {
    item.append(element("p", `Sub-question ${place + 1}: ${pair.question}`));
    if (place + 1 < made.sub_questions.length) item.append(element("pre", pair.sql));
  });
  if (made.problem) item.append(element("p", made.problem, "bad"), element("pre", made.answer));
  if (made.sql) {
    const did = made.executed;
    item.append(element("pre", made.sql));
    if (did.status === "ok") item.append(element("p", `returns ${counted(did.row_count, "row")}`));
    else item.append(element("p", `fails: ${did.error}`, "bad"));
  }
  return item;
}

function show(trace) {
  const answered = trace.executed !== null && trace.executed.status === "ok";
  part("refusal").textContent = answered
    ? ""
    : trace.sql === null
      ? "No answer: the model wrote no SQL."
      : `No answer: the SQL fails (${trace.executed.error}).`;
  part("sql").textContent = answered ? trace.sql : "";
  part("count").textContent = "";
  part("rows").replaceChildren();
  if (answered) showRows(trace.executed);
  part("steps").replaceChildren(...trace.steps.map((made) => step(made, trace)));
  part("answer").hidden = false;
}

async function ask(event) {
  event.preventDefault();
  const button = part("form").querySelector("button");
  const asked = Object.fromEntries(
    ["database", "question", "evidence"].map((name) => [name, part(name).value]),
  );
  button.disabled = true;
  part("answer").hidden = true;
  say("Asking\u2026");
  try {
    const headers = { "Content-Type": "application/json" };
    show(await fetched("/ask", { method: "POST", headers, body: JSON.stringify(asked) }));
    say("");
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
}

part("form").addEventListener("submit", ask);
fetched("/databases")
  .then((names) => part("database").append(...names.map((name) => element("option", name))))
  .catch((error) => say(error.message, true));
