/**
 * Ops as a graph, one line each in the order of the stream: an op on which later ones depend opens a lane that runs down
 * to the last of them. ○ depends on none of the others. Model: `git log --graph`, upside down.
 */

export interface GraphNode {
  op_id: string
  depends_on: readonly string[]
}

/** Beyond so many lanes side by side nobody reads them: such an op gets none, and is named at those that depend on it. */
const lanes_max = 10

interface Lane {
  op_id: string
  /** Index of the last op that depends on it. */
  until: number
}

/** The drawing that begins each line, all of one width. */
export function graphLines(nodes: readonly GraphNode[]): string[] {
  const lastUse = new Map<string, number>()
  const known = new Set(nodes.map((node) => node.op_id))
  nodes.forEach((node, index) => {
    for (const op_id of node.depends_on) if (known.has(op_id)) lastUse.set(op_id, index)
  })
  const lanes: (Lane | undefined)[] = []
  const lines = nodes.map((node, index) => {
    const used = lanes.flatMap((lane, at) => (lane && node.depends_on.includes(lane.op_id) ? [at] : []))
    const ending = used.filter((at) => lanes[at]!.until === index)
    const until = lastUse.get(node.op_id)
    // Below what it depends on, if that lane is free from here on: a chain stays straight.
    const own = placeFor(lanes, ending.at(-1), used)
    const isRoot = !node.depends_on.some((op_id) => known.has(op_id))
    const cells = drawn(lanes, { own, used, ending, isRoot })
    for (const at of ending) lanes[at] = undefined
    if (until !== undefined && until > index && own < lanes_max) lanes[own] = { op_id: node.op_id, until }
    while (lanes.length > 0 && lanes.at(-1) === undefined) lanes.pop()
    return cells
  })
  const width = Math.max(0, ...lines.map((line) => line.length))
  return lines.map((line) => line.padEnd(width))
}

function placeFor(lanes: readonly (Lane | undefined)[], ending: number | undefined, used: readonly number[]): number {
  if (ending !== undefined && ending === used.at(-1)) return ending
  // To the right of all that it depends on, in the first free lane.
  const from = used.length > 0 ? used.at(-1)! + 1 : 0
  for (let at = from; ; at++) if (lanes[at] === undefined) return at
}

interface Joint {
  own: number
  used: readonly number[]
  ending: readonly number[]
  isRoot: boolean
}

function drawn(lanes: readonly (Lane | undefined)[], { own, used, ending, isRoot }: Joint): string {
  const from = Math.min(own, ...used)
  const to = Math.max(own, ...used)
  let line = ""
  for (let at = 0; at <= Math.max(to, lanes.length - 1); at++) {
    const isInside = at > from && at <= to
    if (at > 0) line += isInside ? "─" : " "
    line +=
      at === own
        ? isRoot
          ? "○"
          : "●"
        : jointOf(lanes[at] !== undefined, used.includes(at), ending.includes(at), at > from && at < to)
  }
  return line
}

/** What stands where a lane meets the line of an op. */
function jointOf(isLane: boolean, isUsed: boolean, isEnding: boolean, isCrossed: boolean): string {
  if (isUsed && isEnding) return isCrossed ? "┴" : "╰"
  if (isUsed) return isCrossed ? "┼" : "├"
  // A lane that has nothing to do with this op passes before its line.
  if (isLane) return "│"
  return isCrossed ? "─" : " "
}
