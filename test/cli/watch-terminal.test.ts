/** `sturdy watch` on a terminal: drawn in place, ended by keys and signals, and the terminal as it was. */
import { renameSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../src/outbox.ts"
import { tempDir } from "../temp-dir.ts"
import { stateOf } from "../torture/child.ts"
import { until } from "../until.ts"
import { onTerminal } from "./on-terminal.ts"

const main = join(import.meta.dir, "../../src/cli/main.ts")
const fixture = join(import.meta.dir, "live-terminal-fixture.ts")
const ref = {
  service: "http://127.0.0.1:9/rpc/share",
  share_id: "share_of_the_test_0",
  secret: "canary_secret_01234567",
}

const [entered, left] = ["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"]

/** Rows of the last frame. */
const lastFrame = (text: string) =>
  text
    .slice(text.lastIndexOf("\u001b[?2026h"))
    .split("\r\n")
    // oxlint-disable-next-line no-control-regex
    .map((line) => line.replace(/\u001b\[[?\d]*[A-Za-z]/g, "").trimEnd())

describe.skipIf(process.platform === "win32")("on a terminal", () => {
  const endings: [how: string, end: (on: ReturnType<typeof onTerminal>) => void][] = [
    ["q", ({ terminal }) => terminal.write("q")],
    ["ctrl-C", ({ terminal }) => terminal.write("\u0003")],
    ["SIGTERM", ({ child }) => child.kill("SIGTERM")],
    ["SIGHUP", ({ child }) => child.kill("SIGHUP")],
  ]
  for (const [how, end] of endings)
    test(`${how} ends it at once with 0, and the screen, cursor and keys are as they were`, async () => {
      await using dir = tempDir()
      await using outbox = openOutbox(dir.file())
      outbox.pause()
      outbox.stream("notes", ref).record({ method: "put", args: [1] })
      await using on = onTerminal(main, ["watch", "--db", dir.file(), "--interval", "60"])
      await until(() => on.seen.text.includes("1 pending, 0 dead"))
      expect(on.seen.text).toContain(entered)
      expect(on.isAsItWas()).toBeFalse()
      expect(lastFrame(on.seen.text).join("\n")).toMatch(/STREAM .*\nnotes +pending +1 /)
      end(on)
      expect(await on.child.exited).toBe(0)
      await until(() => on.seen.text.endsWith("1 pending\r\n"))
      expect(on.seen.text).toContain(left)
      expect(on.isAsItWas()).toBeTrue()
      void outbox.close({ flush_ms: 0 })
    })

  test("a new size is drawn for at once", async () => {
    await using dir = tempDir()
    await openOutbox(dir.file()).close()
    await using on = onTerminal(main, ["watch", "--db", dir.file(), "--interval", "60"])
    await until(() => on.seen.text.includes("nothing happened yet"))
    on.terminal.resize(40, 5)
    // As the kernel does where the terminal is the controlling one.
    on.child.kill("SIGWINCH")
    await until(() => /recorded 0\/s, settled 0\/s, POSTs…/.test(on.seen.text))
    on.terminal.write("q")
    expect(await on.child.exited).toBe(0)
  })

  test("ctrl-L draws again", async () => {
    await using dir = tempDir()
    await openOutbox(dir.file()).close()
    await using on = onTerminal(main, ["watch", "--db", dir.file(), "--interval", "60"])
    const frames = () => on.seen.text.split("\u001b[?2026l").length - 1
    await until(() => frames() === 1)
    on.terminal.write("\u000c")
    await until(() => frames() === 2)
  })

  test.skipIf(process.platform !== "linux")(
    "is given back while it is stopped, and taken again when it goes on",
    async () => {
      await using dir = tempDir()
      await openOutbox(dir.file()).close()
      await using on = onTerminal(main, ["watch", "--db", dir.file(), "--interval", "60"])
      await until(() => on.seen.text.includes("nothing happened yet"))
      on.child.kill("SIGTSTP")
      await until(() => stateOf(on.child.pid) === "T" && on.seen.text.endsWith(left))
      expect(on.isAsItWas()).toBeTrue()
      on.child.kill("SIGCONT")
      await until(() => on.seen.text.split(entered).length === 3)
      await until(() => on.seen.text.endsWith("\u001b[?2026l"))
      expect(on.isAsItWas()).toBeFalse()
      on.terminal.write("q")
      expect(await on.child.exited).toBe(0)
    },
  )

  test("an outbox that cannot be read is told on the screen for as long as it cannot", async () => {
    await using dir = tempDir()
    await openOutbox(dir.file()).close()
    await using on = onTerminal(main, ["watch", "--db", dir.file(), "--interval", "0.1"], { cols: 200 })
    const frame = () => lastFrame(on.seen.text).join("\n")
    await until(() => frame().includes("nothing happened yet"))
    renameSync(dir.file(), dir.file("away.db"))
    await until(() => /^there is no outbox at .*Check the path\.$/m.test(frame()))
    renameSync(dir.file("away.db"), dir.file())
    await until(() => frame().includes("the outbox can be read again"))
    await until(() => !/^there is no outbox/m.test(frame()))
  })

  test("a terminal that can do nothing (TERM=dumb) is told line by line", async () => {
    await using dir = tempDir()
    await openOutbox(dir.file()).close()
    await using on = onTerminal(main, ["watch", "--db", dir.file(), "--count", "1"], { env: { TERM: "dumb" } })
    expect(await on.child.exited).toBe(0)
    await until(() => on.seen.text.includes("0 pending, 0 dead, 0 streams"))
    expect(on.seen.text).not.toContain("\u001b")
  })

  for (const how of ["exits", "throws", "rejects"])
    test(`a program that ${how} leaves the terminal as it was`, async () => {
      await using on = onTerminal(fixture, [how])
      expect(await on.child.exited).toBe(how === "exits" ? 7 : 1)
      await until(() => on.seen.text.includes(left))
      expect(on.seen.text).toContain("drawn")
      expect(on.isAsItWas()).toBeTrue()
    })
})
