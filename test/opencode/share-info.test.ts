/** When the URL of a share counts as known. */
import { expect, test } from "bun:test"
import { openOutbox } from "../../src/index.ts"
import { systemClock } from "../../src/intent/system.ts"
import { whenKnown } from "../../src/opencode/share-info.ts"
import { serveShareService } from "../../src/service/index.ts"
import { tempDir } from "../temp-dir.ts"

test("the URL of a share that is taken back is told to nobody: opencode would share again", async () => {
  await using dir = tempDir()
  await using service = serveShareService({ file: dir.file("service.db") })
  await using outbox = openOutbox(dir.file("outbox.db"))
  const create = { session_id: "ses_1" }
  const stream = outbox.stream("ses_1", outbox.newRef(`${service.url}/rpc/share`), { create })
  const how = { limit_ms: 10_000, patient: true, clock: systemClock }
  expect(await whenKnown(outbox, stream, how)).toBe(true)
  stream.remove()
  expect(await whenKnown(outbox, stream, how)).toBe(false)
})
