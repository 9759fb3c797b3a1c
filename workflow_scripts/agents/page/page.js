"use strict";
// Everything from a database or a model goes into the page as text, never as HTML.
const part = (id) => document.getElementById(id);
const MOST_ROWS = 100; // shown of a result

function element(name, text = "", kind = "") {
  const node = document.createElement(name);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
}

function say(text, bad = false) {
  part("status").textContent = text;
  part("status").className = bad ? "bad" : "";
}

async function fetchJson(path, options) {
  const answer = await fetch(path, options);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

function plural(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

function cell(value) {
  if (value === null) return element("td", "NULL", "null");
  return element("td", typeof value === "object" ? `x'${value.hex}'` : String(value));
}

function showRows(result) {
  const head = element("tr");
  head.append(...result.columns.map((name) => element("th", name)));
  const rows = result.rows.slice(0, MOST_ROWS).map((row) => {
    const line = element("tr");
    line.append(...row.map(cell));
    return line;
  });
  part("rows").replaceChildren(head, ...rows);
  const first = result.row_count > rows.length ? `, the first ${rows.length} of them shown` : "";
  part("count").textContent = result.row_count
    ? plural(result.row_count, "row") + first
    : "No row: either nothing in the database fits, or the SQL asks for something else.";
}

function schemaLines(trace) {
  const tables = Object.entries(trace.seen);
  const kept = tables.reduce((sum, [, columns]) => sum + columns.length, 0);
  const list = element("details");
  list.append(element("summary", `shows the others ${kept} of ${trace.columns_in_database} columns`));
  list.append(...tables.map(([name, columns]) => element("p", `${name}: ${columns.join(", ")}`)));
  return list;
}

function stepItem(step, trace) {
  const item = element("li");
  item.append(element("h3", `${step.agent} (${step.seconds.toFixed(2)} s)`));
  if (step.unread_tokens) {
    const unread = `${plural(step.unread_tokens, "token")} of the prompt do not fit the model`;
    item.append(element("p", unread, "note"));
  }
  if (step.selection) item.append(schemaLines(trace));
  step.sub_questions.forEach((pair, place) => {
    item.append(element("p", `Sub-question ${place + 1}: ${pair.question}`));
    if (place + 1 < step.sub_questions.length) item.append(element("pre", pair.sql));
  });
  if (step.problem) item.append(element("p", step.problem, "bad"), element("pre", step.answer));
  if (step.sql) {
    const result = step.executed;
    item.append(element("pre", step.sql));
    if (result.status === "ok") item.append(element("p", `returns ${plural(result.row_count, "row")}`));
    else item.append(element("p", `fails: ${result.error}`, "bad"));
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
  part("steps").replaceChildren(...trace.steps.map((step) => stepItem(step, trace)));
  part("answer").hidden = false;
}

async function ask(event) {
  event.preventDefault();
  const button = part("form").querySelector("button");
  const question = Object.fromEntries(
    ["database", "question", "evidence"].map((name) => [name, part(name).value]),
  );
  button.disabled = true;
  part("answer").hidden = true;
  say("Asking\u2026");
  try {
    const headers = { "Content-Type": "application/json" };
    show(await fetchJson("/ask", { method: "POST", headers, body: JSON.stringify(question) }));
    say("");
  } catch (error) {
    say(error.message, true);
  } finally {
    button.disabled = false;
  }
}

part("form").addEventListener("submit", ask);
fetchJson("/databases")
  .then((names) => part("database").append(...names.map((name) => element("option", name))))
  .catch((error) => say(error.message, true));
