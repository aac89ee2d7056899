/** Colours, where the reader has them. */

const codes = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 } as const

/** What is written to: a terminal, or not. */
export interface Screen {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

export type Paint = Record<keyof typeof codes, (text: string) => string>

export function paintFor(out: Screen): Paint {
  const colours = out.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb"
  const painter = (code: number) => (text: string) => (colours && text ? `\u001b[${code}m${text}\u001b[0m` : text)
  return Object.fromEntries(Object.entries(codes).map(([name, code]) => [name, painter(code)])) as Paint
}
