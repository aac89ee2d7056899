/** A program that draws on its terminal and ends in the way that it is told. */
import { LiveTerminal } from "../../src/cli/watch/live-terminal.ts"

const terminal = new LiveTerminal({ end() {}, redraw() {} })
terminal.draw(["drawn"])
if (process.argv[2] === "throws") throw new Error("on purpose")
if (process.argv[2] === "rejects") await Promise.reject(new Error("on purpose"))
process.exit(7)
