// Pieces of the page. Whatever comes from the network is set as text, never as markup.

/** An element with a class and a text. */
export function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

/** Set a text only if it is another one, so that a selection in it stays. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Fill a table's body. A cell is a text or {text, under, name, share, title}; `nothing` is said of no rows. */
export function fill(body, rows, nothing) {
  const empty = rows.length === 0;
  if (empty !== (body.dataset.empty === "yes")) body.replaceChildren();
  body.dataset.empty = empty ? "yes" : "no";
  const shown = empty ? [[{ text: nothing, name: "empty", span: 6 }]] : rows;
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach((cells, at) => {
    const row = body.rows[at] ?? body.insertRow();
    cells.forEach((cell, place) => paint(row.cells[place] ?? row.insertCell(), typeof cell === "string" ? { text: cell } : cell));
  });
}

function paint(cell, { text, under, name = "", share, title = "", span }) {
  if (cell.className !== name) cell.className = name;
  if (cell.title !== title) cell.title = title;
  if (span) cell.colSpan = span;
  if (!cell.firstChild) cell.append(make("span", "text"));
  write(part(cell, "text"), text);
  if (under !== undefined) write(part(cell, "under"), under);
  if (share !== undefined) {
    const bar = part(cell, "bar");
    bar.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  }
}

function part(cell, name) {
  let found = cell.querySelector(`:scope > .${name}`);
  if (!found) {
    found = make("span", name);
    cell.append(found);
  }
  return found;
}

const SVG = "http://www.w3.org/2000/svg";

/** A small line without axes; null leaves a gap. */
export function spark() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "spark");
  svg.setAttribute("viewBox", "0 0 100 24");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "path"));
  return svg;
}

export function drawSpark(svg, values, length) {
  const most = Math.max(1e-9, ...values.map((value) => value ?? 0));
  let pen = "M";
  let path = "";
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const x = 100 - ((values.length - 1 - at) * 100) / (length - 1);
    path += `${pen}${x.toFixed(1)} ${(23 - (value / most) * 21).toFixed(1)}`;
    pen = "L";
  });
  svg.firstChild.setAttribute("d", path);
}
