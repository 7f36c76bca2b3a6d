// Controls of the visible range.

byId("earlier").addEventListener("click", () => move(-0.5));
byId("later").addEventListener("click", () => move(0.5));
byId("in").addEventListener("click", () => zoom(0.5));
byId("out").addEventListener("click", () => zoom(2));
byId("reset").addEventListener("click", reset);
addEventListener("keydown", event => { if (event.key === "Escape") { leave(); reset(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { css = {}; redraw(); });
byId("toolbar").hidden = false;
redraw();
