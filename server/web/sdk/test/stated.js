// A replica's state as the golden files write it.

/** @param {import('../src/replica.js').Replica} replica */
export function statedOf(replica) {
  /** @type {Record<string, Record<string, number | string>>} */
  const entities = {};
  for (const table of replica.world.tables) {
    for (const index of table.members.subarray(0, table.count)) {
      entities[`${table.kind.name}:${index}`] = Object.fromEntries(table.kind.fields.map((field, f) => {
        const at = table.kind.at[f];
        const text = () => table.textLast[index * table.kind.texts + at].value;
        return [field.name, field.type === 'text' ? text() : table.cell(index, at, 1)];
      }));
    }
  }
  const stated = { tick: replica.tick, hash: hex(replica.world.hash), prior: replica.prior.number, steps_known: replica.known, entities };
  const parts = replica.segments?.parts ?? null;
  if (parts === null) return stated;
  return { ...stated, segments: Object.fromEntries(Array.from(parts, ([segment, part]) => [segment, hex(part.hash)])) };
}


/** @param {number} hash */
function hex(hash) {
  return hash.toString(16).padStart(8, '0');
}
