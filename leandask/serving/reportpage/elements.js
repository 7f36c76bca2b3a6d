// Elements of the page: their text, bars and cells.
// Text from the scheduler is set only as textContent: anyone may have written it.

const byId = (id) => document.getElementById(id);

// Escape what would turn or hide a part of a text: control and format characters.
function printable(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

// `tone` is the class for the colour of the text, if it has one.
function setText(element, text, tone = "") {
  text = printable(text);
  // If set again, a screen reader would repeat it, and a selection would be lost.
  if (element.textContent !== text) element.textContent = text;
  for (const name of ["is-bad", "is-warn", "is-good"])
    element.classList.toggle(name, name === tone);
}

// A number that should be 0 is shown as bad if it is not.
function setFaults(element, number) {
  setText(element, formatNumber(number), number ? "is-bad" : "");
}

function setValueAndBound(element, value, bound) {
  if (!element.firstChild) {
    const grey = document.createElement("span");
    grey.className = "bound";
    element.append(document.createElement("span"), grey);
  }
  setText(element.firstChild, value);
  setText(element.lastChild, ` / ${bound}`);
}

// Return the share of the bar that is filled; a bound of null is unbounded.
function setBar(element, value, bound, text) {
  if (!element.firstChild) element.append(document.createElement("i"));
  const unbounded = bound === null;
  const share = bound ? Math.min(value / bound, 1) : 0;
  element.classList.toggle("open", unbounded);
  element.classList.toggle("full", bound > 0 && value >= bound);
  element.firstChild.style.width = `${share * 100}%`;
  element.setAttribute("aria-valuenow", value);
  element.setAttribute("aria-valuetext", text);
  if (unbounded) element.removeAttribute("aria-valuemax");
  else element.setAttribute("aria-valuemax", Math.max(value, bound));
  return share;
}

// The roles are given because a style with `display: block` removes those of a table.
function addRow(table) {
  const row = table.tBodies[0].insertRow();
  row.setAttribute("role", "row");
  return row;
}

function addCell(row, field, className = "") {
  const cell = row.insertCell();
  cell.setAttribute("role", "cell");
  cell.className = className;
  cell.dataset.field = field;
  return cell;
}
