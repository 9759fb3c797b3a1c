"use strict";
// Everything from a database or a model goes into the page as text, never as HTML.
const part = (id) => document.getElementById(id);
const MOST_ROWS = 100; // shown of a result
const MOST_BARS = 30;
const MANY_TABLES = 8; // more are shown closed, with a filter
const HISTORY = "asked";
const MOST_ASKED = 50;
let shown = null; // {database, question, evidence, sql, executed} of the answer on the page
let waiting = null; // what cancels the request on its way

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

// Whole numbers that JavaScript would round stay as they are written.
function exact(_, value, context) {
  const rounded = typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return rounded && /^-?\d+$/.test(context?.source) ? context.source : value;
}

// The last line of a reply is its value; lines before it tell how many are asked before this one.
async function fetchJson(path, body, tell = () => {}) {
  const post = { method: "POST", signal: waiting?.signal, body: JSON.stringify(body) };
  const answer = await fetch(path, body && post);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    text += piece.value;
    for (let end; text.startsWith('{"ahead"') && (end = text.indexOf("\n")) > 0; text = text.slice(end + 1))
      tell(JSON.parse(text.slice(0, end)));
  }
  const value = JSON.parse(text, exact);
  if (typeof value.error === "string" && !value.status) throw new Error(value.error);
  return value;
}

function plural(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

// The database: its tables, and a question about it.

function tableItem([name, columns]) {
  const item = element("details");
  item.append(element("summary", `${name} (${plural(Object.keys(columns).length, "column")})`));
  const list = element("ul");
  list.append(
    ...Object.entries(columns).map(([column, examples]) => {
      const line = element("li", column);
      if (examples.length) line.append(element("span", `: ${examples.join(", ")}`, "note"));
      return line;
    }),
  );
  item.append(list);
  item.words = [name, ...Object.keys(columns)].join("\n").toLowerCase();
  return item;
}

function showSome(filter) {
  const words = filter.toLowerCase().trim();
  for (const item of part("schema").querySelectorAll("details")) item.hidden = !item.words.includes(words);
}

async function showSchema() {
  const database = part("database").value;
  const schema = await fetchJson("/schema", { database });
  if (database !== part("database").value) return;
  const tables = Object.entries(schema).map(tableItem);
  const many = tables.length > MANY_TABLES;
  tables.forEach((item) => (item.open = !many));
  part("tables").textContent = plural(tables.length, "table");
  part("filter").hidden = !many;
  part("filter").querySelector("input").value = "";
  part("schema").querySelector(".scroll").replaceChildren(...tables);
  const name = Object.keys(schema)[0].replaceAll("_", " ").toLowerCase();
  const several = name.endsWith("s") ? name : `${name}s`.replace(/([^aeiou])ys$/, "$1ies");
  const example = `How many ${several} are there?`;
  part("example").querySelector("button").textContent = example;
  part("example").hidden = false;
}

// The answer: SQL, rows, a chart, the agents' steps.

function cellText(value) {
  return value !== null && typeof value === "object" ? `x'${value.hex}'` : String(value ?? "NULL");
}

function showRows(result) {
  const head = element("tr");
  head.append(...result.columns.map((name) => element("th", name)));
  const rows = result.rows.slice(0, MOST_ROWS).map((row) => {
    const line = element("tr");
    line.append(...row.map((value) => element("td", cellText(value), value === null ? "null" : "")));
    return line;
  });
  part("rows").replaceChildren(head, ...rows);
  const first = result.row_count > rows.length ? `, the first ${rows.length} of them shown` : "";
  part("count").textContent = result.row_count
    ? plural(result.row_count, "row") + first
    : "No row: either nothing in the database fits, or the SQL asks for something else.";
}

function drawn(name, attributes, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

// One bar for each row of a label and a number, from zero, with the number behind it.
function drawChart({ columns, rows }) {
  const at = columns.length === 2 && rows.length > 1 && rows.length <= MOST_BARS
    ? [1, 0].find((place) => rows.every((row) => typeof row[place] === "number"))
    : undefined;
  part("chart").hidden = at === undefined;
  if (at === undefined) return;
  const numbers = rows.map((row) => row[at]);
  const labels = rows.map((row) => cellText(row[1 - at]));
  const width = Math.min(640, document.querySelector("main").clientWidth);
  const [left, right, step, top] = [width * 0.27, width - 100, 24, 26];
  const longest = Math.floor(left / 7.5); // characters of a label
  const [low, high] = [Math.min(0, ...numbers), Math.max(0, ...numbers)];
  const x = (number) => left + ((number - low) / (high - low || 1)) * (right - left);
  const base = top + rows.length * step;
  const what = `${columns[at]} for each ${columns[1 - at]}`;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${base + 44}`, role: "img", "aria-label": `Bar chart: ${what}` });
  svg.append(drawn("text", { x: 0, y: 15 }, columns[1 - at]));
  numbers.forEach((number, row) => {
    const y = top + row * step;
    const [from, to] = [x(Math.min(0, number)), x(Math.max(0, number))];
    const text = labels[row];
    const label = text.length > longest ? `${text.slice(0, longest - 1)}\u2026` : text;
    svg.append(
      drawn("text", { x: left - 8, y: y + 16, "text-anchor": "end" }, label),
      drawn("rect", { x: from, y: y + 3, width: to - from, height: step - 6 }),
      drawn("text", { x: to + 6, y: y + 16 }, number.toLocaleString("en")),
    );
  });
  svg.append(drawn("line", { x1: x(0), x2: x(0), y1: top, y2: base }));
  svg.append(drawn("line", { x1: left, x2: right, y1: base, y2: base }));
  const crowded = Math.min(x(0) - x(low), x(high) - x(0)) < 40; // no room for a zero between
  for (const number of new Set(crowded ? [low, high] : [low, 0, high])) {
    svg.append(drawn("line", { x1: x(number), x2: x(number), y1: base, y2: base + 5 }));
    const text = number.toLocaleString("en");
    svg.append(drawn("text", { x: x(number), y: base + 19, "text-anchor": "middle" }, text));
  }
  const middle = { x: (left + right) / 2, y: base + 38, "text-anchor": "middle" };
  svg.append(drawn("text", middle, columns[at]));
  part("chart").replaceChildren(svg);
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

function show(value) {
  shown = value;
  const { executed, sql, question, database } = value;
  const good = executed?.status === "ok";
  part("outcome").textContent = good ? "Answer" : "No answer";
  part("asked").textContent = `${question} (${database})`;
  part("sql").value = sql ?? "";
  part("failure").textContent = good
    ? ""
    : executed
      ? `The SQL fails: ${executed.error}.`
      : "The model wrote no SQL. You can write it yourself.";
  part("count").textContent = "";
  part("rows").replaceChildren();
  part("chart").hidden = true;
  part("save").hidden = part("doubt").hidden = !good;
  if (good) {
    showRows(executed);
    drawChart(executed);
  }
  part("trace").hidden = !value.steps;
  const unread = Math.max(0, ...(value.steps ?? []).map((step) => step.unread_tokens));
  const cut = `The schema is longer than this model reads (${plural(unread, "token")} were cut off)`;
  part("unread").textContent = unread ? `${cut}, so the answer may miss tables.` : "";
  const { tables_in_database: all, tables_of_agents: few } = value;
  const narrowed = `Of ${all} tables the agents saw the ${few} that the question's words point to.`;
  part("narrowed").textContent = few < all ? narrowed : "";
  if (value.steps) part("steps").replaceChildren(...value.steps.map((step) => stepItem(step, value)));
  part("answer").hidden = false;
  part("outcome").focus();
  remember({ database, question, evidence: value.evidence, sql });
}

async function send(path, body, words, back) {
  if (waiting) return null;
  waiting = new AbortController();
  part("cancel").hidden = false;
  part("ask").hidden = true;
  part("cancel").focus();
  say(words);
  const tell = ({ ahead }) => say(`Waiting: ${plural(ahead, "question")} before this one\u2026`);
  try {
    const value = await fetchJson(path, body, tell);
    say("");
    return value;
  } catch (error) {
    const cancelled = error.name === "AbortError";
    const lost = error instanceof TypeError || error instanceof SyntaxError; // no reply, or half of one
    say(cancelled ? "Cancelled." : lost ? "The program that answers has ended." : error.message, !cancelled);
    setTimeout(() => back.focus());
    return null;
  } finally {
    waiting = null;
    part("cancel").hidden = true;
    part("ask").hidden = false;
  }
}

async function ask(event) {
  event.preventDefault();
  const body = Object.fromEntries(
    ["database", "question", "evidence"].map((name) => [name, part(name).value]),
  );
  if (!body.question.trim()) {
    say("Write a question first.", true);
    part("question").focus();
    return;
  }
  const trace = await send("/ask", body, "Asking\u2026", part("question"));
  if (trace) show({ ...trace, ...body });
}

async function run(entry) {
  const { database, sql } = entry;
  const executed = await send("/run", { database, sql }, "Running\u2026", part("question"));
  if (executed) show({ ...entry, executed });
}

function runEdited(event) {
  event.preventDefault();
  const { database, question, evidence } = shown;
  run({ database, question, evidence, sql: part("sql").value });
}

// The rows as a file. Of long results the page has the first rows only: all are fetched again.

function csvCell(value) {
  const text = value === null ? "" : cellText(value);
  return value !== null && (text === "" || /[",\r\n]/.test(text)) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function save(kind) {
  const { database, question, sql } = shown;
  let { executed } = shown;
  if (executed.rows.length < executed.row_count) {
    executed = await send("/run", { database, sql }, "Fetching all rows\u2026", part("save").firstChild);
    if (!executed) return;
  }
  const { columns, rows } = executed;
  const lines = [columns, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`);
  const json = JSON.stringify({ database, question, sql, columns, rows }, null, 1);
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(kind === "csv" ? lines : [json]));
  link.download = `${database}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// What was asked before; a browser may refuse to keep it.

function remembered() {
  try {
    return [].concat(JSON.parse(localStorage.getItem(HISTORY)) ?? []);
  } catch {
    return [];
  }
}

function keep(entries) {
  try {
    localStorage.setItem(HISTORY, JSON.stringify(entries.slice(0, MOST_ASKED)));
  } catch {
    return;
  }
  showHistory();
}

function remember(entry) {
  const text = JSON.stringify(entry);
  keep([entry, ...remembered().filter((other) => JSON.stringify(other) !== text)]);
}

function again(entry) {
  for (const name of ["database", "question", "evidence"]) part(name).value = entry[name];
  showSchema().catch((error) => say(error.message, true));
  if (entry.sql) run(entry);
  else part("question").focus();
}

function showHistory() {
  const offered = [...part("database").options].map((option) => option.value);
  const entries = remembered().filter((entry) => offered.includes(entry.database));
  const items = entries.map((entry) => {
    const item = element("li");
    const button = element("button", `${entry.question} (${entry.database})`, "link");
    button.title = entry.sql;
    button.addEventListener("click", () => again(entry));
    item.append(button);
    return item;
  });
  part("past").hidden = !items.length;
  part("past").querySelector("ul").replaceChildren(...items);
}

function onKey(id, fits, act) {
  part(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && fits(event)) act(event);
  });
}

part("form").addEventListener("submit", ask);
part("edit").addEventListener("submit", runEdited);
onKey("question", (event) => !event.shiftKey, ask);
onKey("sql", (event) => event.ctrlKey || event.metaKey, runEdited);
part("cancel").addEventListener("click", () => waiting?.abort());
part("clear").addEventListener("click", () => {
  keep([]);
  part("question").focus();
});
part("save").addEventListener("click", ({ target }) => target.dataset.kind && save(target.dataset.kind));
part("filter").addEventListener("input", ({ target }) => showSome(target.value));
part("database").addEventListener("change", () => showSchema().catch((error) => say(error.message, true)));
part("example").addEventListener("click", ({ target }) => {
  if (target.type !== "button") return;
  part("question").value = target.textContent;
  part("question").focus();
});
fetchJson("/databases")
  .then((names) => {
    part("database").append(...names.map((name) => element("option", name)));
    showHistory();
    return showSchema();
  })
  .catch((error) => say(error.message, true));
