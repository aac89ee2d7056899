/**
 * Shows a command of the CLI in a situation, in a real terminal, as text and as a picture. For us: it needs tmux, and no
 * test runs it.
 *
 *   sh script/bun.sh test/cli/capture.ts --situation dead --width 100 --svg /tmp/dead.svg -- dead show {dead}
 *   sh script/bun.sh test/cli/capture.ts --all docs/cli.md
 *
 * `{name}` stands for one of the situation's names. `--all FILE` writes the text of each marker
 * `<!-- capture: SITUATION WIDTH [Ns] COMMAND … -->` into the fenced block after it; `Ns` captures after N seconds what
 * does not end by itself (`--after N` of a single one).
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { captureAll } from "./capture/document.ts"
import { capture, situationNamed } from "./capture/capture.ts"
import { svgOf } from "./capture/svg.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    situation: { type: "string", default: "idle" },
    width: { type: "string", default: "100" },
    height: { type: "string", default: "40" },
    after: { type: "string" },
    out: { type: "string" },
    svg: { type: "string" },
    all: { type: "string" },
  },
})

if (values.all !== undefined) await captureAll(values.all)
else {
  const width = Number(values.width)
  const shown = await capture({
    situation: situationNamed(values.situation),
    width,
    height: Number(values.height),
    after_s: values.after === undefined ? undefined : Number(values.after),
    command: positionals,
  })
  if (values.svg !== undefined) writeFileSync(values.svg, svgOf(shown.coloured, width))
  if (values.out === undefined) console.log(shown.plain)
  else writeFileSync(values.out, `${shown.plain}\n`)
  console.error(shown.code === undefined ? "(captured while it ran)" : `(exit code ${shown.code})`)
}
