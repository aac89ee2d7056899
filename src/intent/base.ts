/** A register `(cursor, head_op_id)`, and the base: the register for which the next batch is made. */
export interface Register {
  /** Positions decided for one writer. */
  cursor: number
  head_op_id: string | null
}

/** Where the batch after this one starts, if this one is decided: cursor + ops, last op_id. */
export function registerAfter(register: Register, batch: { ops: readonly { op_id: string }[] }): Register {
  return { cursor: register.cursor + batch.ops.length, head_op_id: batch.ops.at(-1)?.op_id ?? register.head_op_id }
}
