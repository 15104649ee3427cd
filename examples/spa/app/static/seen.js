// Looks for tokens wherever a script can look. The names are put together from
// parts, so that a search through all that the browser was sent finds nothing.

const names = ['access', 'refresh', 'id'].map((kind) => kind + '_token');
const token = new RegExp(['ey' + 'J[\\w-]{8,}', 'wr' + 't_\\w+', ...names].join('|'), 'g');

const answers = { count: 0, tokens: new Set() };

// reads takes note of an answer of the backend, of its headers too.
export function reads(text, headers) {
  answers.count++;
  for (const [name, value] of headers) text += '\n' + name + ': ' + value;
  for (const one of text.match(token) ?? []) answers.tokens.add(one);
}

// look returns what there is, row by row, and every token in it.
export async function look() {
  const rows = [
    ['document.cookie', document.cookie],
    ['localStorage', stored(localStorage)],
    ['sessionStorage', stored(sessionStorage)],
    ['indexedDB', (await indexedDB.databases()).map((one) => one.name).join(', ')],
    ['caches', (await caches.keys()).join(', ')],
    ['address and history', location.search + location.hash + (history.state ? JSON.stringify(history.state) : '')],
    ['global variables', globals()],
  ];
  const found = new Set(answers.tokens);
  for (const [, text] of rows) for (const one of text.match(token) ?? []) found.add(one);
  rows.push(['answers read', String(answers.count)]);
  return { rows, tokens: [...found] };
}

function stored(storage) {
  return Object.keys(storage).map((name) => name + '=' + storage.getItem(name)).join(', ');
}

// globals are the texts that hang on window beyond what the browser puts there.
function globals() {
  const mine = [];
  for (const name of Object.keys(window)) {
    let value;
    try {
      value = window[name];
    } catch {
      continue; // some may not be asked
    }
    if (typeof value === 'string' && !['origin', 'name', 'status'].includes(name)) mine.push(name + '=' + value);
  }
  return (window.name ? ['name=' + window.name, ...mine] : mine).join(', ');
}
