// Plays the kernel in an exported page: the widget's own bundle asks, the data inside the page answers.
const data = JSON.parse(document.getElementById("data").textContent);
const state = data.state;
const drawn = data.drawn.map(([message, buffers]) => [message, buffers.map(view)]);
const handlers = new Map();

function view(base64) {
  return new DataView(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer);
}

function emit(event, ...args) {
  for (const handler of [...(handlers.get(event) ?? [])]) handler(...args);
}

function reply(message, buffers = []) {
  setTimeout(() => emit("msg:custom", message, buffers));
}

function answer(request) {
  const refuse = (message) => reply({ type: "error", message, request });
  switch (request.type) {
    case "hello":
      for (const [message, buffers] of drawn) reply(message, buffers);
      break;
    case "previews":
      reply({ type: "previews", start: request.start, texts: data.previews.slice(request.start, request.stop) });
      break;
    case "details":
      if (request.row in data.details) reply(data.details[request.row]);
      else refuse("The contents of this step were left out to keep the page small.");
      break;
    case "more": {
      const text = data.more[JSON.stringify([request.row, request.path])];
      if (text === undefined) refuse("The rest of this text was left out to keep the page small.");
      else reply({ ...request, text });
      break;
    }
    default: {
      const key = JSON.stringify(request);
      if (!(key in data.prepared)) return refuse("This page cannot answer that: open the session in a notebook.");
      const [message, buffers] = data.prepared[key];
      reply(message, buffers.map(view));
    }
  }
}

const FLAGS = { failed: 1, suspect: 2 };

/** The part of the query language that needs no store: words, `failed`, `suspect`, and a minus before each. */
function filter(query) {
  const [columns, buffers] = drawn[0];
  const terms = query.toLowerCase().match(/-?"[^"]*"|\S+/g) ?? [];
  if (terms.some((term) => /^-?\w+:/.test(term))) {
    const message = "A page filters by words, failed and suspect; open the session in a notebook for more.";
    return reply({ type: "error", message, request: { type: "filter", query } });
  }
  const [, , flags, , , , codes, offsets, names] = buffers;
  const wide = codes.byteLength === 4 * columns.rows;
  const name = (row) => {
    const code = wide ? codes.getUint32(4 * row, true) : codes.getUint16(2 * row, true);
    const [start, stop] = [offsets.getUint32(4 * code, true), offsets.getUint32(4 * code + 4, true)];
    return new TextDecoder().decode(new Uint8Array(names.buffer, start, stop - start));
  };
  const mask = new Uint8Array(columns.rows);
  for (let row = 0; row < columns.rows; row++) {
    const text = `${name(row)} ${data.previews[row]}`.toLowerCase();
    mask[row] = terms.every((term) => {
      const word = term.replace(/^-/, "");
      const holds = word in FLAGS ? flags.getUint8(row) & FLAGS[word] : text.includes(word.replaceAll('"', ""));
      return Boolean(holds) !== term.startsWith("-");
    });
  }
  const count = mask.reduce((sum, one) => sum + one, 0);
  reply({ type: "mask", query, count, active: terms.length > 0 }, terms.length > 0 ? [new DataView(mask.buffer)] : []);
}

const model = {
  get: (key) => state[key],
  set(key, value) {
    if (state[key] === value) return;
    state[key] = value;
    emit(`change:${key}`);
    if (key === "_query") filter(value);
  },
  save_changes() {},
  on: (event, handler) => handlers.set(event, [...(handlers.get(event) ?? []), handler]),
  off: (event, handler) => handlers.set(event, (handlers.get(event) ?? []).filter((one) => one !== handler)),
  send: answer,
};

const bundle = URL.createObjectURL(new Blob([data.script], { type: "text/javascript" }));
const { default: widget } = await import(bundle);
URL.revokeObjectURL(bundle);
widget.render({ model, el: document.getElementById("widget"), signal: new AbortController().signal });
