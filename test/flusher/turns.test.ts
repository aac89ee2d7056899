/** The host's own work has its turn between two POSTs, however fast the service answers. */
import { expect, test } from "bun:test"
import { openBox, record } from "./box.ts"

test("a service that answers at once gets one POST per turn of the event loop", async () => {
  await using box = await openBox()
  const outbox = box.open()
  const stream = box.stream(outbox)
  outbox.pause()
  record(stream, Array.from({ length: 4_000 }, (_, n) => String(n)).join(" "))
  outbox.resume()
  const perTurn: number[] = []
  for (let seen = 0; outbox.stream("s").status().pending > 0; seen = box.sent.length) {
    box.clock.turn(0)
    await new Promise((resolve) => setImmediate(resolve))
    perTurn.push(box.sent.length - seen)
  }
  expect([box.sent.length, Math.max(...perTurn)]).toEqual([5, 1])
})
