/** How a person started this, as npm and bunx tell it: for commands that they can paste, and for paths as they typed them. */

const { npm_lifecycle_event: event, npm_command, INIT_CWD } = process.env
const isScript = event === "sturdy" && npm_command?.startsWith("run") === true

/** What begins a command line that does the same again. */
export const program =
  event === "npx" || event === "bunx" ? `${event} sturdy` : isScript ? "npm run -s sturdy --" : "sturdy"

/** npm runs a script in the folder of its package, wherever the person stands. */
export function enterTheirFolder(): void {
  if (isScript && INIT_CWD) process.chdir(INIT_CWD)
}
