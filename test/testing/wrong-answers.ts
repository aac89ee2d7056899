/** Services that decide as they should, and are wrong in what they take for a batch or in what they say of it. */
import { ShareError } from "../../src/service/share-error.ts"
import type { SharedOp, SharePage } from "../../src/wire/contract.ts"
import { isAck, type Planted } from "./wrong-service.ts"

export const wrongAnswers: Record<string, Planted> = {
  "takes any writer_id": {
    wrong: {
      append: (decide, batch) =>
        decide(batch.writer_id === "short" ? { ...batch, writer_id: "long_enough_to_be_one" } : batch),
    },
    caught: [["rule 1: whatever is no batch", "rule 1"]],
    says: ['sent      appendOps with writer_id "short": w2 for (0, -): a=put'],
  },
  "takes an op_id in lower case": {
    wrong: {
      append: (decide, batch) => {
        const ops = batch.ops.map((op) => (op?.op_id?.toUpperCase ? { ...op, op_id: op.op_id.toUpperCase() } : op))
        return decide({ ...batch, ops })
      },
    },
    caught: [["rule 1: whatever is no batch", "rule 1"]],
    says: ["sent      appendOps with op_id in lower case: w1 for (0, -): "],
  },
  "says malformed to an op that is too large": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        if (isAck(answer) || answer.refused !== "too_large" || batch.ops.length > 1) return answer
        return { refused: "malformed", message: "an op of many bytes" }
      },
    },
    caught: [["rule 1: a batch over the granted", "rule 1"]],
    says: ["sent      appendOps with an op of 4194305 UTF-8 bytes, ", "where op_bytes_max is 4194304: w1 for"],
  },
  "names the actor in a rejection": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        const actor = batch.ops[0]?.actor_id
        if (!isAck(answer) || actor === undefined) return answer
        return { ...answer, rejected: answer.rejected.map((one) => ({ ...one, message: `${actor} may not` })) }
      },
    },
    caught: [["no error, no refusal and no rejection repeats", "a secret is in no error"]],
    says: ["sent      appendOps w1 for (0, -): a=no.such.method", "secret 1, as it does in rejected.0.message"],
  },
  "shows no args to readers": {
    wrong: { read: (read) => changed(read(), { args: "[]" }) },
    caught: [["readShare pages through", "readShare gives"]],
    says: ['op a: args should be "[[]]" or the same'],
  },
  "shows the same args for every op": {
    wrong: { read: (read) => changed(read(), { args: "[[]]" }) },
    caught: [["readShare shows the args of an op", "readShare gives"]],
  },
  "says no time at which an op was applied": {
    wrong: { read: (read) => changed(read(), { time_applied: "today" as unknown as number }) },
    caught: [["readShare pages through", "readShare gives"]],
    says: ['op a: time_applied should be a number of ms, it is "today"'],
  },
  "acknowledges in an epoch that is not the grant's": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        return isAck(answer) ? { ...answer, epoch: answer.epoch + 1 } : answer
      },
    },
    caught: [
      ["rule 3: a batch is decided op by op", "rule 3"],
      ["createShare, redeemShare and a window", "the calls of one POST"],
    ],
    says: ["it should carry epoch 1, as its grant does, not 2"],
  },
  "rejects without a message": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        if (!isAck(answer)) return answer
        return {
          ...answer,
          rejected: answer.rejected.map((one) => ({ ...one, message: undefined as unknown as string })),
        }
      },
    },
    caught: [["rule 3: a batch is decided op by op", "rule 3"]],
    says: ["it should say in a message why b was rejected"],
  },
  "refuses without a message": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        return isAck(answer) ? answer : { ...answer, message: undefined as unknown as string }
      },
    },
    caught: [["rule 5: the right head", "rule 5"]],
    says: ["it should be refused gap with the register (3, c), with a message"],
  },
  "creates shares without a url": {
    wrong: { create: (create, input) => ({ ...(create(input) as object), url: null }) },
    caught: [["createShare: the same again", "createShare"]],
    says: ["url should be a text, it is null"],
  },
  "repeats the secret in an error": {
    wrong: {
      redeem: (redeem, input) => {
        try {
          return redeem(input)
        } catch (error) {
          const { code } = error as ShareError
          if (code !== "share_unknown") throw error
          throw new ShareError(code, `no share with secret ${String(input.secret)}`)
        }
      },
    },
    caught: [
      ["no error, no refusal and no rejection repeats", "a secret is in no error"],
      ["a wrong secret, an unknown share", "a bad secret"],
    ],
    says: [
      'sent      redeemShare {"share_id":"s1","secret":"secret 2","writer_id":"w1"}',
      "should not repeat secret 2, as it does in message",
    ],
  },
  "tells no register with a gap": {
    wrong: {
      append: (decide, batch) => {
        const answer = decide(batch)
        return isAck(answer) || answer.refused !== "gap" ? answer : { refused: "gap", message: "moved" }
      },
    },
    caught: [["rule 5: the right head", "rule 5"]],
  },
}

function changed({ ops, next }: SharePage, change: Partial<SharedOp>): SharePage {
  return { ops: ops.map((op) => ({ ...op, ...change })), next }
}
