/** `sturdy doctor`: everything that can be wrong with an outbox and its surroundings, each with a cure. */
import { resolve } from "node:path"
import { followLinks } from "../store/place.ts"
import { type Command, CommandError, type ExitCode, type Input, UsageError } from "./input/command.ts"
import { examine } from "./doctor/examine.ts"
import { putAside } from "./doctor/put-aside.ts"
import { findingLines, totalLines } from "./doctor/report.ts"
import { commandLine } from "./outbox/command-line.ts"
import { dbHelp, dbOption, dbUsage, outboxPlace, placeText } from "./outbox/outbox-place.ts"
import { ProgressLine } from "./output/progress.ts"
import { headerHelp, headerOptions, headersOption, headerUsage } from "./input/service-header.ts"
import { print, printable, printJson, terminalWidth, toned } from "./output/terminal.ts"

export const doctor: Command = {
  name: "doctor",
  summary: "everything that can be wrong with an outbox, each with a cure",
  usage: `[--offline | --quarantine] ${headerUsage} ${dbUsage} [--json]`,
  help: `
Looks at the file, its permissions and disk, the -wal, the database and every page of it, the lease, clocks, streams, and
asks the services that are owed something (a redeem, which only reads). Changes nothing, and disturbs no program that has
the outbox open. Of each finding it says what to do.

  --offline     ask no service
  --quarantine  put a damaged outbox aside, as FILE.damaged-…, and let a fresh one begin; refused if it is not damaged, or
                another program has it open
${headerHelp}
${dbHelp}
  --json        one finding per line: {"version","check","level","message","cure"?,"command"?,…}

Exit codes: 0 nothing is wrong (there may be warnings); 1 there is no outbox to look at; 3 something is wrong.`,
  options: {
    ...dbOption,
    offline: { type: "boolean" },
    quarantine: { type: "boolean" },
    ...headerOptions,
  },
  positionals: 0,
  async run(input) {
    if (!input.options.quarantine) return examined(input)
    if (input.options.offline || input.options["header-env"] !== undefined)
      throw new UsageError("--quarantine asks no service", doctor)
    return quarantined(input)
  },
}

async function examined(input: Input): Promise<ExitCode> {
  const place = outboxPlace(input)
  const progress = new ProgressLine()
  const isJson = input.options.json === true
  let isBegun = false
  try {
    const { found, checks } = await examine({
      place,
      offline: input.options.offline === true,
      headers: (services) => headersOption(doctor, input, services),
      tell(finding) {
        progress.clear()
        if (isJson) return printJson({ version: 1, ...finding })
        if (!isBegun) print(`${toned("quiet", "outbox")}  ${placeText(place)}\n`)
        isBegun = true
        for (const line of findingLines(finding, terminalWidth())) print(line)
      },
      progress: (what, done, total) =>
        done === undefined || total === undefined ? progress.doing(what) : progress.show(what, done, total),
    })
    progress.clear()
    if (!isJson) for (const line of ["", ...totalLines(found, checks, terminalWidth())]) print(line)
    return found.some(({ level }) => level === "wrong") ? 3 : 0
  } finally {
    progress.clear()
  }
}

function quarantined(input: Input): ExitCode {
  const place = outboxPlace(input)
  const aside = putAside(place, resolve(followLinks(place.file)))
  if (!aside)
    throw new CommandError(
      `${placeText(place)} is not damaged, so it stays: ${commandLine(place, "doctor")} says what else is wrong`,
    )
  const { file, message } = aside
  const get = commandLine({ file, by: "--db" }, "export")
  if (input.options.json) printJson({ version: 1, quarantined: file, message, export: get })
  else {
    print(printable(message))
    print("What was pending in it is sent by nobody. To get out of it what can still be read:")
    print(`  ${toned("strong", get)}`)
  }
  return 0
}
