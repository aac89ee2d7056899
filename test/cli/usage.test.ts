/** What a command line means, and what is said of one that means nothing. */
import { describe, expect, test } from "bun:test"
import { commandNames, loadCommand } from "../../src/cli/commands.ts"
import { numberOption, parseInput, UsageError, type Command } from "../../src/cli/input/command.ts"
import { sinceOption } from "../../src/cli/input/since.ts"
import { pageOf } from "../../src/cli/input/page.ts"
import { run } from "./run.ts"

const command: Command = {
  name: "test",
  summary: "",
  usage: "",
  help: "",
  options: {
    limit: { type: "string" },
    after: { type: "string" },
    since: { type: "string" },
    number: { type: "string" },
  },
  positionals: [1, 2],
  run: async () => 0,
}

const inputOf = (...args: string[]) => parseInput(command, ["x", ...args])

function refusalOf(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  throw new Error("it was taken")
}

test.each(commandNames)("%s has help of its own, found by its words and by `help`", async (name) => {
  const { command, rest } = (await loadCommand([...name.split(" "), "--help"]))!
  expect([command.name, rest]).toEqual([name, ["--help"]])
  expect(command.help.trim().length).toBeGreaterThan(100)
  expect(command.summary).not.toBe("")
  // Each option is explained where it is listed, or in the usage.
  for (const option of Object.keys(command.options).filter((option) => option !== "in-child"))
    expect(command.help).toContain(`--${option}`)
})

test("the list of commands names every one", async () => {
  const { out } = await run(["--help"])
  for (const name of commandNames) expect(out).toContain(`\n  ${name.padEnd(14)}`)
})

test("help COMMAND is COMMAND --help, also of a group", async () => {
  for (const words of [["flush"], ["dead", "retry"], ["dead"]]) {
    const [by_word, by_option] = await Promise.all([run(["help", ...words]), run([...words, "--help"])])
    expect(by_word).toEqual(by_option)
    expect([by_word.code, by_word.out]).toEqual([0, expect.stringMatching(/^usage: sturdy .*\n\n[^]*--json/)])
  }
})

describe("what was meant is named", () => {
  test.each([
    [["stauts"], "no command stauts: did you mean status?"],
    [["dead", "lst"], "no command dead lst: there are dead list, dead show, dead retry, dead discard"],
    [["ops", "--sate", "pending"], "there is no option --sate; did you mean --state?"],
    [["ops", "\u001b[31m"], "unexpected argument \\u001b[31m"],
  ])("of %j", async (args, message) => {
    const { code, err } = await run(args)
    expect([code, err]).toEqual([2, expect.stringContaining(message)])
  })
})

describe("arguments", () => {
  test("behind -- are names, whatever they begin with", () => {
    expect(inputOf("--", "--nothing").positionals).toEqual(["x", "--nothing"])
  })

  test("are neither too few nor too many, unless help is wanted", () => {
    expect(refusalOf(() => parseInput(command, []))).toBe("an argument is missing")
    expect(refusalOf(() => inputOf("y", "z"))).toBe("unexpected argument z")
    expect(parseInput(command, ["--help"]).options.help).toBeTrue()
  })

  test("that an option lacks are told in one sentence", () => {
    expect(refusalOf(() => inputOf("--since", "-5m"))).toBe("Option '--since' argument is ambiguous")
    expect(refusalOf(() => inputOf("--since"))).toMatch(/^Option '--since <value>' argument missing$/)
  })

  test("that are numbers are whole, and within their bounds", () => {
    const number = (text: string) => numberOption(command, inputOf("--number", text), "number", { min: 2, max: 9 })
    expect(["2", "9"].map(number)).toEqual([2, 9])
    for (const wrong of ["1", "10", "2.5", "1e0", "", " 3", "three"])
      expect(refusalOf(() => number(wrong))).toContain("--number must be a number from 2 to 9")
  })
})

test("a page has 100 rows unless it is said how many", () => {
  expect(pageOf(command, inputOf())).toEqual({ limit: 100, after: undefined })
  expect(pageOf(command, inputOf("--limit", "7", "--after", "0"))).toEqual({ limit: 7, after: 0 })
})

describe("--since", () => {
  const now = Date.parse("2026-03-10T12:00:00Z")
  const since = (text: string) => sinceOption(command, inputOf("--since", text), now)
  test.each([
    ["90s", 90_000],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["3d", 259_200_000],
  ])("%s is so long ago", (text, ms) => expect(since(text)).toBe(now - ms))

  test("a time with a zone is that time, one without is local", () => {
    expect(since("2026-03-01T12:00:00+02:00")).toBe(Date.parse("2026-03-01T10:00:00Z"))
    expect(since("2026-03-01T12:00")).toBe(new Date(2026, 2, 1, 12).getTime())
  })

  test.each(["yesterday", "5", "5w", "1.5h", "2026", "2026-13-01"])("%s is none", (text) => {
    expect(refusalOf(() => since(text))).toContain("--since must be a time")
  })
})
