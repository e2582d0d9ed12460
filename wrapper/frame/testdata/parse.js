// Reads messages, one a line in base64, and tells of each in a line of JSON what JavaScript makes of it: see answer in
// parsers_test.go.
'use strict';

// printable writes every UTF-16 unit that is not plain ASCII as an escape, lone surrogates too.
const printable = (s) =>
  s.replace(/[^\x20-\x7e]|["\\]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));

const bits = new DataView(new ArrayBuffer(8));

function scalar(v) {
  switch (typeof v) {
    case 'undefined': return '';
    case 'string': return 's' + printable(v);
    case 'boolean': return String(v);
    case 'number':
      bits.setFloat64(0, v + 0); // which makes 0 of -0
      return 'n' + bits.getBigUint64(0).toString(16).padStart(16, '0');
  }
  if (v === null) return 'null';
  return Array.isArray(v) ? '[' : '{';
}

function leaves(v, path, all) {
  if (typeof v !== 'object' || v === null) {
    all.push(path + '=' + scalar(v));
    return all;
  }
  const keys = Object.keys(v);
  if (keys.length === 0) all.push(path + '=' + scalar(v));
  for (const key of keys) {
    leaves(v[key], path + (Array.isArray(v) ? '[' + key + ']' : '"' + printable(key) + '"'), all);
  }
  return all;
}

// exactly writes an id with all its digits, lest two of them be one number here.
const exactly = (v) => (Number.isInteger(v) ? 'i' + BigInt(v) : scalar(v));

const isObject = (v) => typeof v === 'object' && v !== null;
const inside = (v) => (isObject(v) ? v : {});

function view(m) {
  const params = inside(m.params);
  return {
    method: scalar(m.method),
    id: exactly(m.id),
    name: scalar(params.name),
    uri: scalar(params.uri),
    version: scalar(params.protocolVersion),
    request: scalar(inside(params._meta)['io.modelcontextprotocol/protocolVersion']),
  };
}

// careless copies as much code does, which makes a prototype of a member __proto__.
function careless(m) {
  const copy = Object.assign({}, m);
  if (isObject(m.params)) copy.params = Object.assign({}, m.params);
  if (isObject(copy.params) && isObject(copy.params._meta)) copy.params._meta = Object.assign({}, copy.params._meta);
  return copy;
}

function answer(line) {
  try {
    const m = JSON.parse(Buffer.from(line, 'base64').toString('utf8'));
    return { views: [view(m), view(careless(m))], leaves: leaves(m, '', []) };
  } catch (e) {
    return { refused: String(e) };
  }
}

let rest = '';
process.stdin.setEncoding('latin1');
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\n');
  rest = lines.pop();
  for (const line of lines) process.stdout.write(JSON.stringify(answer(line)) + '\n');
});
