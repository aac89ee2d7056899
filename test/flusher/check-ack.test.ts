/** An answer that does not name each op of the batch exactly once is no answer. */
import { describe, expect, test } from "bun:test"
import { ack, ack2, batch_2, foreign, ids, said, value } from "./verdict-case.ts"

describe("an answer to a batch that is no Ack settles nothing", () => {
  const wrong: [string, unknown][] = [
    ["null", null],
    ["nothing", undefined],
    ["a text", "applied"],
    ["a list", []],
    ["an empty object", {}],
    ["another batch_id", ack({ batch_id: batch_2 })],
    ["no batch_id", { ...ack(), batch_id: undefined }],
    ["an op missing", ack({ applied: [ids[0]] })],
    ["an op twice in one list", ack({ applied: [ids[0], ids[0]] })],
    ["an op in two lists", ack({ applied: [ids[0], ids[1]], duplicates: [ids[1]] })],
    ["an op in two lists in place of another", ack({ applied: [ids[0]], duplicates: [ids[0]] })],
    ["an op that was not sent", ack({ applied: [ids[0], foreign] })],
    ["an op more", ack({ applied: [ids[0], ids[1], foreign] })],
    ["no list applied", { ...ack(), applied: undefined }],
    ["no list duplicates", { ...ack(), duplicates: undefined }],
    ["no list rejected", { ...ack(), rejected: undefined }],
    ["a list that is a text", { ...ack(), applied: "xx" }],
    ["op_ids that are no texts", { ...ack(), applied: [1, 2] }],
    ["a rejection that is null", { ...ack({ applied: [ids[0]] }), rejected: [null] }],
    ["a rejection without a code", { ...ack({ applied: [ids[0]] }), rejected: [{ op_id: ids[1], message: "no" }] }],
    ["no cursor", { ...ack(), cursor: undefined }],
    ["a cursor that is no integer", { ...ack(), cursor: 1.5 }],
    ["no head", { ...ack(), head_op_id: undefined }],
    ["a head of null", { ...ack(), head_op_id: null }],
    ["a result that is no text", { ...ack(), results: { [ids[0]]: 7 } }],
  ]
  for (const [what, answer] of wrong)
    test(what, () => {
      expect(said({ appended: [value(answer), value(ack2)] })).toBe("retry protocol")
      expect(said({ appended: [value(ack()), value(answer)] })).toBe("settled 1; retry protocol")
    })
})
