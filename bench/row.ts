/** One line of the bench: a figure of ours, what is raw beside it, and whether the goal is reached. */
export interface Row {
  what: string
  sturdy: string
  raw: string
  ratio: number
  goal: string
  reached: boolean
}

export function row(what: string, sturdy: string, raw: string, ratio: number, goal: string, reached: boolean): Row {
  return { what, sturdy, raw, ratio: Math.round(ratio * 100) / 100, goal, reached }
}
