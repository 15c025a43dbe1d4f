/** The version of all parts, as `package.json` has it (the tidy test compares). */
export const VERSION = "0.1.0";
