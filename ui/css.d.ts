/** A view may bring its own style sheet; the build makes a file of it that is fetched with the view. */
declare module "*.css";
