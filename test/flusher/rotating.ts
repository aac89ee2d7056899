/** A stream that has sent an op and is about to rotate the secret of its share. */
import { expect } from "bun:test"
import type { SturdyError } from "../../src/intent/error.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { type Box, heardBlocks, record } from "./box.ts"

/** No backoff. */
export const at_once = { random: { ...systemRandom, fraction: () => 0 } }

export async function refusal(promise: Promise<unknown>): Promise<SturdyError> {
  try {
    await promise
  } catch (error) {
    return error as SturdyError
  }
  throw new Error("nothing was thrown")
}

/** Does this secret open the share, as the service says? */
export function opens(box: Box, secret: string): string {
  try {
    box.api.redeemShare({ share_id: box.ref.share_id, secret, writer_id: "writer_of_the_test" })
    return "granted"
  } catch (error) {
    return (error as { code: string }).code
  }
}

export const secrets = (box: Box) => {
  const { secret, next_secret } = box.row()
  return { secret, next_secret }
}

/** A stream that has sent an op, and all that was heard of it. */
export async function sending(box: Box) {
  const outbox = box.open()
  const stream = box.stream(outbox)
  record(stream, "1")
  await box.run(outbox.flush())
  const blocks = heardBlocks(outbox)
  return { outbox, stream, blocks }
}

/** Records another op and says whether it arrived, once, without a block. */
export async function goesOn(box: Box, { outbox, stream, blocks }: Awaited<ReturnType<typeof sending>>) {
  record(stream, "2")
  expect(await box.run(outbox.flush())).toEqual({ settled: true, blocked: [] })
  expect([box.effects, blocks]).toEqual([["1", "2"], []])
}
