/** Opens an outbox where it must fail, as a child process of its own. Prints the codes as JSON. */
import { closeSync, openSync } from "node:fs"
import { SturdyError } from "../../src/intent/error.ts"
import { openOutbox } from "../../src/outbox.ts"

const [file, call] = process.argv.slice(2) as [string, string]

function codeOf(): string {
  try {
    void openOutbox(file, { damaged: call === "open" ? "refuse" : "quarantine" }).close({ flush_ms: 0 })
    return "opened"
  } catch (error) {
    return error instanceof SturdyError ? error.code : `not a SturdyError: ${error}`
  }
}

function withoutDescriptors(): { codes: string[]; opened: boolean } {
  const taken: number[] = []
  try {
    for (;;) taken.push(openSync("/dev/null", "r"))
  } catch {
    // All are taken.
  }
  const codes: string[] = []
  // One more is free in each round: every open call on the way fails once.
  for (let free = 0; free < 8; free++) {
    const code = codeOf()
    if (code === "opened") break
    codes.push(code)
    closeSync(taken.pop()!)
  }
  for (const fd of taken) closeSync(fd)
  return { codes, opened: codeOf() !== "not opened" }
}

if (call === "descriptors") {
  console.log(JSON.stringify(withoutDescriptors()))
} else {
  // Modules are loaded: from here on permissions count.
  if (call !== "limited" && process.getuid!() === 0) {
    process.setgid!(65534)
    process.setuid!(65534)
  }
  console.log(JSON.stringify({ code: codeOf() }))
}
