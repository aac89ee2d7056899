/** Planted bugs that the simulator finds without the help of any other test, and within how many seeds. By survey.ts. */
export const simulated: Readonly<Record<string, number>> = {}
