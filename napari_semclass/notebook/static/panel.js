// Everything around the canvas: buttons, categories, legend, training, and the words below.

// Lumino's shortcuts of the notebook (M turns the cell into text, 0 0 restarts the kernel) must not act in here. It looks
// for this attribute from the focused element upwards, but `:focus` in a shortcut's selector fits that element first.
const NO_SHORTCUTS = "data-lm-suppress-shortcuts";

let widgets = 0;

class Panel {
  constructor(model, stage, marking, canvas) {
    Object.assign(this, { model, stage, marking, id: `sc-${++widgets}` });
    this.readout = make("p", { class: "sc-readout" }, "Point at a tile, or go to one with the arrow keys.");
    this.status = make("p", { class: "sc-status", role: "status" });
    this.progress = make("progress", { max: 1, "aria-label": "progress", hidden: true });
    this.doing = make("span", { class: "sc-share" });
    this.summary = make("p", { class: "sc-summary", id: `${this.id}-summary` });
    canvas.setAttribute("aria-describedby", this.summary.id);
    this.tools = make("div", { role: "radiogroup", "aria-label": "What a click on the micrograph does" });
    this.needs = make("p", { class: "sc-note" });
    this.learned = make("p", { class: "sc-note" });
    this.legend = make("div", { role: "group", "aria-label": "Legend: what the overlay shows" });
    this.run = make("div");
    this.buildBar();
    this.buildTraining();
    const stageBox = make("div", { class: "sc-stage" }, canvas, this.readout);
    const side = make(
      "div",
      { class: "sc-side" },
      make("section", {}, make("h4", {}, "Mark with"), this.tools, this.adding(), this.needs, this.learned),
      make("section", {}, make("h4", {}, "Result"), this.legend),
      this.training,
    );
    const foot = make("div", { class: "sc-foot" }, this.progress, this.doing, this.status);
    this.root = make(
      "div",
      {
        class: "semclass",
        [NO_SHORTCUTS]: "true",
        role: "region",
        "aria-label": "SEM classifier",
        onfocusin: ({ target }) => target.setAttribute(NO_SHORTCUTS, "true"),
      },
      this.bar,
      make("div", { class: "sc-main" }, stageBox, side),
      foot,
      this.summary,
    );
    marking.onTool = () => this.showTools();
  }

  send(kind, more = {}) {
    this.model.send({ kind, ...more });
  }

  set(name, value) {
    this.model.set(name, value);
    this.model.save_changes();
  }

  // -- parts -------------------------------------------------------------------------------------------------------

  buildBar() {
    this.classify = button("Classify", () => this.send("classify"));
    this.learn = button("Learn marks", () => this.send("learn"), "A linear head, in seconds");
    const ask = () => {
      this.send("suggest");
      this.stage.canvas.focus(); // where the keys are that answer
    };
    this.next = button("Next suggestion", ask, "The tile whose mark would teach most (N)");
    this.stopping = button("Stop", () => this.send("stop"));
    this.opacity = make("input", { type: "range", min: 0, max: 1, step: 0.05, id: `${this.id}-opacity` });
    this.opacity.addEventListener("input", () => this.set("opacity", Number(this.opacity.value)));
    this.live = make("input", { type: "checkbox", onchange: () => this.set("live", this.live.checked) });
    this.bar = make(
      "div",
      { class: "sc-bar", role: "group", "aria-label": "Actions" },
      this.classify,
      this.learn,
      this.next,
      this.stopping,
      make("label", {}, this.live, " Learn after each mark"),
      make("span", { class: "sc-gap" }),
      make("label", { for: this.opacity.id }, "Overlay"),
      this.opacity,
      ...[["−", "Zoom out (-)", () => this.stage.zoomBy(1 / 1.5)],
        ["+", "Zoom in (+)", () => this.stage.zoomBy(1.5)],
        ["Fit", "Show all (F)", () => this.stage.fit()],
        ["Undo", "Take the last mark back (Ctrl+Z)", () => this.marking.undo()],
      ].map(([text, title, act]) => {
        const made = button(text, act, title);
        made.setAttribute("aria-label", title);
        return made;
      }),
    );
  }

  adding() {
    const name = make("input", { type: "text", "aria-label": "Name of a new category", placeholder: "New category" });
    const add = () => {
      this.send("add", { name: name.value });
      name.value = "";
    };
    // No form: JupyterLab does not let the Enter key submit one.
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter") add();
    });
    const row = make("div", { class: "sc-row" }, name, button("Add", add, "Add a category"));
    this.adopt = button("Take the model's", () => this.send("adopt"), "Mark with the categories of the result");
    return make("div", {}, row, this.adopt);
  }

  buildTraining() {
    this.recipe = make("select", { "aria-label": "Recipe" });
    this.name = make("input", { type: "text", "aria-label": "Name of the new model" });
    this.begin = button("Train", () => this.send("train", { plan: this.recipe.value, name: this.name.value }));
    this.again = button("Resume", () => this.send("resume"));
    this.finish = button("Good enough", () => this.send("finish"), "Make a model of what is learned so far");
    this.training = make(
      "details",
      {},
      make("summary", {}, "Full training"),
      make("p", { class: "sc-note" }, "Trains the network itself on the marks, in minutes, while you work on."),
      make("label", { class: "sc-row" }, "Recipe", this.recipe),
      make("label", { class: "sc-row" }, "Model", this.name),
      make("div", { class: "sc-row" }, this.begin, this.again, this.finish),
      this.run,
    );
  }

  // -- what is shown -----------------------------------------------------------------------------------------------

  showTools() {
    const counts = this.model.get("_counts").tiles ?? {};
    const tools = [[MOVE, "Move (M)", null], ...this.marking.categories.map((one) => [one.name, one.name, one])];
    if (tools.length > 1) tools.push([CLEAR, "Clear (0 clears one)", null]);
    if (!tools.some(([tool]) => tool === this.marking.tool)) this.marking.tool = MOVE;
    refill(this.tools, tools.map(([tool, text, category]) => this.toolRow(tool, text, category, counts)));
    this.adopt.hidden = this.marking.categories.length > 0;
  }

  toolRow(tool, text, category, counts) {
    const radio = make("input", { type: "radio", name: `${this.id}-tool`, "data-focus": `tool ${tool}` });
    radio.checked = tool === this.marking.tool;
    radio.addEventListener("change", () => this.marking.choose(tool));
    const name = make("span", { class: "sc-name" }, text);
    if (!category) return make("label", { class: "sc-row" }, radio, name);
    const key = make("kbd", {}, category.key ? `${category.key}` : " ");
    const count = make("span", { class: "sc-share" }, `${counts[category.name] ?? 0}`);
    count.title = "tiles";
    const rename = button("✎", () => this.rename(category, name), "Rename");
    const remove = button("×", () => this.send("remove", { number: category.number }), "Remove");
    rename.setAttribute("aria-label", `Rename ${category.name}`);
    remove.setAttribute("aria-label", `Remove ${category.name}`);
    const label = make("label", { class: "sc-row sc-grow" }, radio, key, swatch(category.color), name, count);
    return make("div", { class: "sc-row" }, label, rename, remove);
  }

  rename(category, name) {
    const field = make("input", { type: "text", "aria-label": `New name of ${category.name}` });
    field.value = category.name;
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.send("rename", { number: category.number, name: field.value });
      if (event.key === "Escape" || event.key === "Enter") this.showTools();
    });
    field.addEventListener("blur", () => this.showTools());
    name.replaceChildren(field);
    field.focus();
    field.select();
  }

  showLegend() {
    const hidden = this.model.get("hidden");
    const rows = this.model.get("_legend").map(({ name, color, share }) => {
      const box = make("input", { type: "checkbox", "data-focus": `legend ${name}` });
      box.checked = !hidden.includes(name);
      box.addEventListener("change", () => {
        const others = this.model.get("hidden").filter((one) => one !== name);
        this.set("hidden", box.checked ? others : [...others, name]);
      });
      const words = [make("span", { class: "sc-name" }, name), make("span", { class: "sc-share" }, share)];
      return make("label", { class: "sc-row" }, box, swatch(color), ...words);
    });
    refill(this.legend, rows.length ? rows : [make("p", { class: "sc-note" }, "Nothing is classified yet.")]);
  }

  showTraining() {
    const training = this.model.get("_training");
    const going = Boolean(training.going);
    this.begin.disabled = going || !this.model.get("_counts").ready;
    this.begin.title = this.model.get("_counts").ready ? "" : "Mark tiles of two categories first";
    this.again.hidden = !training.resumable;
    this.finish.hidden = !going;
    if (!training.name) return;
    const bar = make("progress", { max: 1, value: training.done, "aria-label": `progress of ${training.name}` });
    const words = make("p", { class: "sc-note" }, [training.where, training.speed].filter(Boolean).join(" · "));
    const shown = training.points.length + training.epochs.length ? curves(training) : [];
    refill(this.run, going ? [bar, words, ...shown] : shown);
  }

  showAbout() {
    const { model, tiles, recipes, recipe, name } = this.model.get("_about");
    this.classify.title = `${model}: ${tiles}`;
    const chosen = this.recipe.value || recipe;
    this.recipe.replaceChildren(...recipes.map((one) => make("option", { value: one }, one)));
    this.recipe.value = chosen;
    this.name.value = name;
  }

  showState() {
    const { sentence, problem } = this.model.get("_status");
    const { doing, done, total } = this.model.get("_work");
    const counts = this.model.get("_counts");
    this.status.classList.toggle("sc-problem", Boolean(problem));
    const work = `${doing}: ${(done ?? 0).toLocaleString("en")} of ${(total ?? 0).toLocaleString("en")} tiles.`;
    this.status.textContent = problem ? `⚠ ${sentence}` : sentence ?? "";
    this.doing.textContent = doing ? work : "";
    this.progress.hidden = !doing;
    this.progress.value = total ? done / total : 0;
    this.stopping.disabled = !doing && !this.model.get("_training").going;
    this.learn.disabled = !counts.ready;
    this.learn.title = counts.ready ? "A linear head, in seconds" : "Mark tiles of two categories first";
    this.needs.textContent = this.marking.categories.length ? counts.needs ?? "" : "Add two categories, or take the model's to correct it.";
    this.learned.textContent = this.model.get("_learned");
    this.next.disabled = !this.model.get("_learned");
    this.opacity.value = this.model.get("opacity");
    this.live.checked = this.model.get("live");
    this.summary.textContent = this.model.get("summary");
  }

  // What is at a tile; said aloud only when the keyboard went there, as a mouse passes many.
  showPlace(words, spoken) {
    this.readout.setAttribute("aria-live", spoken ? "polite" : "off");
    this.readout.textContent = words;
  }
}
