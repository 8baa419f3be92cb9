/**
 * The document: elements by their id in page.html, and new elements. Text from the node is only
 * ever set as text, so no name of a machine can add elements to the page.
 */

/** Throws if page.html has no such element. */
export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element "${id}"`);
  return element;
}

export type Attributes = Readonly<Record<string, string | number>>;
export type Child = Node | string;

export function html(name: string, attributes: Attributes = {}, children: readonly Child[] = []) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name: string, attributes: Attributes = {}, children: readonly Child[] = []) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  return filled(element, attributes, children);
}

function filled<E extends Element>(
  element: E,
  attributes: Attributes,
  children: readonly Child[],
): E {
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** Replaces the children, unless `key` is that of the last call: a reader is not disturbed. */
export function replaceIfNew(element: Element, key: string, make: () => readonly Child[]): void {
  if (keys.get(element) === key) return;
  keys.set(element, key);
  element.replaceChildren(...make());
}

const keys = new WeakMap<Element, string>();

/** A column of a table: its head, the text or element of a row, and whether it is a number. */
export interface Column<Row> {
  readonly name: string;
  readonly isNumber?: boolean;
  readonly className?: string;
  cell(row: Row): Child;
}

/** The first column has the heads of the rows. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): HTMLElement {
  const head = columns.map(({ name, isNumber }) => {
    return html("th", { scope: "col", class: isNumber ? "number" : "" }, [name]);
  });
  const body = rows.map((row) => {
    const cells = columns.map(({ isNumber, className = "", cell }, i) => {
      const attributes = { class: isNumber ? "number" : className };
      if (i === 0) return html("th", { ...attributes, scope: "row" }, [cell(row)]);
      return html("td", attributes, [cell(row)]);
    });
    return html("tr", {}, cells);
  });
  return html("table", {}, [
    html("caption", {}, [caption]),
    html("thead", {}, [html("tr", {}, head)]),
    html("tbody", {}, body),
  ]);
}
