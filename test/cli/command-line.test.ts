/** A command that is proposed means the same in the shells that people paste it into. */
import { resolve } from "node:path"
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { parseInput } from "../../src/cli/input/command.ts"
import { unblock } from "../../src/cli/unblock.ts"
import { commandLine, optionWords, quoted } from "../../src/cli/outbox/command-line.ts"

const shells = ["sh", "bash"].filter((shell) => Bun.which(shell) !== null)

/** What a shell makes of words; `env LC_ALL=C` is the least that it knows of letters. */
function wordsIn(shell: string, words: readonly string[]): string[] {
  const script = `sturdy() { for word in "$@"; do printf '%s\\0' "$word"; done; }\n${words.join(" ")}`
  const { stdout } = Bun.spawnSync([shell, "-c", script], { env: { ...process.env, LC_ALL: "C" } })
  return stdout.toString().split("\0").slice(0, -1)
}

// Every kind of letter that a shell or a terminal takes for something else.
const letter = fc.constantFrom(
  ..."ab1 '\"\\$`!*?[]{}()<>|&;~#%=-\t\n\r\u0007\u001b\u007f\u0085\u009b\u061c\u200f\u202e\u2066\u2028é\u{1f600}",
)
const name = fc.string({ unit: letter, minLength: 1, maxLength: 12 })

describe("a name on a command line", () => {
  for (const shell of shells)
    test(`is the same text in ${shell}, whatever is in it, and nothing of it reaches the terminal unnamed`, () => {
      fc.assert(
        fc.property(fc.array(name, { minLength: 1, maxLength: 20 }), (names) => {
          // Only $'…' can say a newline at the end, which not every sh knows.
          const fit = names.filter((text) => shell !== "sh" || !(text.endsWith("\n") && quoted(text).startsWith("$")))
          const words = fit.map(quoted)
          expect(words.join(" ")).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u)
          expect(wordsIn(shell, ["sturdy", ...words])).toEqual(fit)
        }),
        { numRuns: 60 },
      )
    })

  test.each(["--all", "-h", "--", "-", "notes"])("%s stays a name and is no option", (stream) => {
    const place = { file: "-outbox.db", by: "--db" } as const
    const line = commandLine(place, "unblock", { name: stream }, "--secret-file", "FILE")
    const [, ...args] = wordsIn("sh", [line])
    expect(parseInput(unblock, args)).toMatchObject({
      options: { db: resolve("-outbox.db"), "secret-file": "FILE" },
      positionals: [stream],
    })
  })

  test("that begins with - is the value of an option all the same", () => {
    expect(optionWords("--stream", "--all")).toEqual(["--stream=--all"])
    expect(optionWords("--stream", "notes")).toEqual(["--stream", "notes"])
  })
})
