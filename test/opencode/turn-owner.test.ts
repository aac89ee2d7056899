/** Who works at a turn, when several do, and when its host was started anew. */
import { expect, test } from "bun:test"
import { openOutbox, type Outbox } from "../../src/index.ts"
import { isOrphaned, isOwned, turnNote, withoutDead } from "../../src/opencode/turn-owner.ts"
import { processIdentity } from "../../src/store/process-identity.ts"
import { tempDir } from "../temp-dir.ts"

function note(outbox: Outbox, message_id: string, isRunning: boolean): void {
  const bookmark = turnNote(outbox, "ses_1", message_id, isRunning)
  if (bookmark) outbox.unit(() => {}, { bookmark })
}

test("the end of one turn of a session says nothing of another one", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file("outbox.db"))
  note(outbox, "msg_1", true)
  note(outbox, "msg_2", true)
  note(outbox, "msg_2", false)
  note(outbox, "msg_0", false)
  expect(["msg_1", "msg_2"].map((id) => isOwned(outbox, "ses_1", id))).toEqual([true, false])
})

test.skipIf(!processIdentity().boot_id)("who worked before the host was started anew works no more", async () => {
  await using dir = tempDir()
  await using outbox = openOutbox(dir.file("outbox.db"))
  note(outbox, "msg_1", true)
  const { source, place, mark } = outbox.bookmark("opencode/turn/ses_1")!
  const earlier = mark!.replace(processIdentity().boot_id, "another-boot")
  outbox.unit(() => {}, { bookmark: { source, place, mark: earlier } })
  expect([isOwned(outbox, "ses_1", "msg_1"), isOrphaned(outbox, "ses_1")]).toEqual([false, true])
  outbox.unit(() => {}, { bookmark: withoutDead(outbox, "ses_1") })
  expect(isOrphaned(outbox, "ses_1")).toBe(false)
})
