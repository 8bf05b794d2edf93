// Elements and words for people. Whatever comes from outside becomes text, never markup.

/** The element of this id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element with properties (`class`, `data-*`, `aria-*` and others that begin so are attributes) and children; a
 * child that is no element is text.
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class" || name.includes("-") || name === "role" || name === "scope") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** Sets a text where it differs, so that selections and screen readers are left in peace. */
export function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets an attribute where it differs. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes a container's children those of the items, in their order. A child stays the same element as long as its item's
 * key is there, so that focus and selection survive an update.
 */
export function keyed(container, items, key, create, update) {
  const there = new Map();
  for (const child of container.children) there.set(child.dataset.key, child);
  let place = container.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = there.get(name);
    if (child) {
      there.delete(name);
    } else {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else container.insertBefore(child, place);
  }
  for (const gone of there.values()) gone.remove();
}

/** Makes a select's options these, and keeps what is chosen. */
export function choices(select, options, chosen) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([value, text]) => el("option", { value }, text)));
  }
  if (select.value !== chosen) select.value = chosen;
}

const grouped = new Intl.NumberFormat("en");

/** A number with its thousands apart; a dash for none. */
export const count = (value) => (value === null || value === undefined ? "–" : grouped.format(value));

/** A span of time. */
export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  return `${Math.floor(ms / 86_400_000)} d ${Math.floor((ms % 86_400_000) / 3_600_000)} h`;
}

/** Microseconds as milliseconds. */
export const micros = (us) => (us === null || us === undefined ? "–" : `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`);

/** Bytes in a second. */
export function rate(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  return bytes < 10_000 ? `${grouped.format(bytes)} B/s` : `${grouped.format(Math.round(bytes / 100) / 10)} kB/s`;
}

/** A time of the day, with the date where it is another day. */
export function clock(ms) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toISOString().slice(0, 10)} ${time}`;
}
