"use strict";
// Each scene shows two of its layers, left and right of a divider, with the same position and zoom.
const MAX_ZOOM = 40;  // CSS pixels per SR pixel
const GRAB = 24;  // a drag that starts this close to the divider moves it
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

for (const scene of document.querySelectorAll(".scene")) {
  const find = (query) => scene.querySelector(query);
  const stage = find(".stage"), layers = [...scene.querySelectorAll(".layer")];
  const left = find(".left"), right = find(".right");
  const width = Number(scene.dataset.width), height = Number(scene.dataset.height);
  const state = { cut: 0.5, zoom: 1, x: 0, y: 0 };
  let fit = 1;

  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.maxWidth = `calc(80vh * ${width / height})`;
  left.value = 0;
  const model = [...right.options].findIndex((o, at) => at > 0 && o.textContent !== "bicubic");
  right.value = Math.max(model, 1);

  function draw() {
    const box = { width: stage.clientWidth, height: stage.clientHeight };
    const shown = { width: width * state.zoom, height: height * state.zoom };
    // Centre an image that is smaller than the stage; let a larger one always cover it.
    const place = (at, all, part) => part <= all ? (all - part) / 2 : clamp(at, all - part, 0);
    state.x = place(state.x, box.width, shown.width);
    state.y = place(state.y, box.height, shown.height);
    const share = 100 * state.cut;
    layers.forEach((layer, index) => {
      const sides = [Number(left.value) === index, Number(right.value) === index];
      layer.style.visibility = sides[0] || sides[1] ? "visible" : "hidden";
      layer.style.clipPath = sides[0] && sides[1] ? "none"
        : sides[0] ? `inset(0 ${100 - share}% 0 0)` : `inset(0 0 0 ${share}%)`;
      layer.classList.toggle("crisp", state.zoom * Number(layer.dataset.coarseness) >= 1);
      layer.firstElementChild.style.transform =
        `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
    });
    find(".divider").style.left = `${share}%`;
    find(".tag-left").textContent = left.selectedOptions[0].textContent;
    find(".tag-right").textContent = right.selectedOptions[0].textContent;
    find(".zoom").textContent = `${Number(state.zoom.toPrecision(2))}×`;
    stage.classList.toggle("zoomed", state.zoom > fit * 1.001);
    stage.setAttribute("aria-valuenow", Math.round(share));
    stage.setAttribute("aria-valuetext", `${Math.round(share)} % ${find(".tag-left").textContent}`);
  }

  function cutAt(share) {
    state.cut = clamp(share, 0, 1);
    draw();
  }

  // Zoom by a factor around a point of the stage, which stays in place.
  function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const zoom = clamp(state.zoom * factor, fit, Math.max(MAX_ZOOM, fit));
    const by = zoom / state.zoom;
    state.x = x - (x - state.x) * by;
    state.y = y - (y - state.y) * by;
    state.zoom = zoom;
    draw();
  }

  function showAll() {
    fit = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    state.zoom = fit;
    draw();
  }

  const pointers = new Map();
  let moves = "nothing", kept = state.cut;
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - stage.clientLeft, y: event.clientY - box.top - stage.clientTop };
  };
  const spread = () => {
    const [a, b] = pointers.values();
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, apart: Math.hypot(a.x - b.x, a.y - b.y) };
  };

  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    const point = at(event);
    pointers.set(event.pointerId, point);
    const near = Math.abs(point.x - state.cut * stage.clientWidth) < GRAB;
    const all = !stage.classList.contains("zoomed");
    moves = pointers.size > 1 ? "zoom" : near || all ? "divider" : "image";
    if (moves === "zoom") cutAt(kept);  // the first finger did not start a drag
    else kept = state.cut;
    if (moves === "divider") cutAt(point.x / stage.clientWidth);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), now = at(event);
    if (!before) return;
    const old = pointers.size > 1 ? spread() : null;
    pointers.set(event.pointerId, now);
    if (old) {
      const fresh = spread();
      state.x += fresh.x - old.x;
      state.y += fresh.y - old.y;
      zoomBy(fresh.apart / (old.apart || 1), fresh.x, fresh.y);
    } else if (moves === "divider") {
      cutAt(now.x / stage.clientWidth);
    } else if (moves === "image") {
      state.x += now.x - before.x;
      state.y += now.y - before.y;
      draw();
    }
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => {
      pointers.delete(event.pointerId);
      moves = "nothing";
    });
  }
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const point = at(event);
    zoomBy(Math.exp(-clamp(event.deltaY * lines, -200, 200) / 400), point.x, point.y);
  }, { passive: false });

  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.1 : 0.02;
    const actions = {
      ArrowLeft: () => cutAt(state.cut - step), ArrowRight: () => cutAt(state.cut + step),
      ArrowDown: () => cutAt(state.cut - step), ArrowUp: () => cutAt(state.cut + step),
      Home: () => cutAt(0), End: () => cutAt(1),
      "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: showAll,
    };
    const chosen = Number(event.key) - 1;
    if (chosen >= 0 && chosen < layers.length) {
      right.value = chosen;
      draw();
    } else if (event.key in actions) {
      actions[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });

  find(".in").addEventListener("click", () => zoomBy(1.5));
  find(".out").addEventListener("click", () => zoomBy(1 / 1.5));
  find(".all").addEventListener("click", showAll);
  left.addEventListener("change", draw);
  right.addEventListener("change", draw);

  new ResizeObserver(() => {
    const whole = !stage.classList.contains("zoomed");
    fit = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    if (whole || state.zoom < fit) state.zoom = fit;
    draw();
  }).observe(stage);
  showAll();
}
