/** Names as people ask for them: `*` stands for any text, and every other sign for itself. */

export function hasWildcard(pattern: string): boolean {
  return pattern.includes("*")
}

/** For SQLite's GLOB, of which the other signs may stand in a name. */
export function globOf(pattern: string): string {
  return pattern.replace(/[[?]/g, (sign) => `[${sign}]`)
}

/** Undefined: every name. */
export function matches(pattern: string | undefined, name: string): boolean {
  if (pattern === undefined || pattern === name) return true
  return hasWildcard(pattern) && new RegExp(`^${pattern.split("*").map(RegExp.escape).join("[^]*")}$`, "u").test(name)
}
