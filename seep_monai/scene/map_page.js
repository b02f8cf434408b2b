"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const [width, height] = data.size, [marksName, numberName] = data.words;
  // Rows count down and latitudes up.
  const at = (column, row) => L.latLng(-row, column);
  const bounds = L.latLngBounds(at(0, 0), at(width, height));
  // The scale bar asks the coordinate system for distances in metres.
  const crs = L.extend({}, L.CRS.Simple, { distance: (a, b) => L.CRS.Simple.distance(a, b) * data.pixel_m });
  const map = L.map("map", {
    crs, minZoom: -12, maxZoom: 5, zoomSnap: 0.25, attributionControl: false, maxBounds: bounds.pad(0.6),
    // Thin slicks are hard to hit with a finger.
    renderer: L.canvas({ tolerance: 6, padding: 0.3 }),
  });
  let touched = false;
  for (const kind of ["pointerdown", "wheel", "keydown"]) {
    map.getContainer().addEventListener(kind, () => {
      touched = true;
      // Leaflet gives the map the focus at a click, and a browser would frame it.
      map.getContainer().classList.toggle("pointed", kind !== "keydown");
    }, { passive: true });
  }
  const fit = () => {
    map.setMinZoom(Math.min(map.getBoundsZoom(bounds), 0) - 1);
    if (!touched) map.fitBounds(bounds, { animate: false });
  };
  fit();
  map.on("resize", fit);
  if (data.picture) addPicture();
  if (data.area) addArea();
  if (data.pixel_m) L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  addCursor();
  if (data.marks.length) addMarks();

  function addPicture() {
    const picture = L.imageOverlay(data.picture, bounds, { alt: "SAR image" }).addTo(map);
    // Enlarged pixels keep their edges, on which the polygons lie.
    const sharpen = () => picture.getElement().classList.toggle("sharp", 2 ** map.getZoom() * data.scale > 1.5);
    map.on("zoomend", sharpen);
    sharpen();
  }

  /* What the scenes cover. A canvas knows no style sheet. */
  function addArea() {
    const style = getComputedStyle(document.documentElement), of = (name) => style.getPropertyValue(name).trim();
    L.polygon(data.area.map((rings) => rings.map(places)), { weight: 1, color: of("--line"), fillColor: of("--paper"),
      fillOpacity: 1, interactive: false }).addTo(map);
  }

  function addCursor() {
    const control = L.control({ position: "bottomright" });
    const box = L.DomUtil.create("div", "cursor");
    control.onAdd = () => box;
    control.addTo(map);
    map.on("mousemove click", ({ latlng }) => {
      const column = Math.floor(latlng.lng), row = Math.floor(-latlng.lat);
      const inside = column >= 0 && row >= 0 && column < width && row < height;
      box.textContent = inside ? placeName(latlng.lng, -latlng.lat, column, row) : "";
    });
    map.on("mouseout", () => { box.textContent = ""; });
  }

  function addMarks() {
    const slider = document.getElementById("score"), least = document.getElementById("least");
    const all = document.getElementById("all"), boxes = [...document.querySelectorAll(".legend input")];
    const group = L.featureGroup().addTo(map);
    const popup = L.popup({ maxWidth: 300, autoPanPaddingTopLeft: [52, 10], autoPanPaddingBottomRight: [10, 10] });
    const origin = L.circleMarker([0, 0], { radius: 5, weight: 2, color: "#fff", fillColor: "#000", fillOpacity: 1,
      interactive: false });
    const ellipse = L.polygon([], { weight: 1.5, color: "#888", fillOpacity: 0.15, interactive: false });
    const list = document.getElementById("list");
    let selected = null;
    // A browser lays out thousands of entries in seconds.
    let most = 200;

    const seeps = data.marks.map(([label, score, start, parts, values, site]) => {
      const color = data.classes[label - 1][1];
      const shape = parts ? L.polygon(parts.map((rings) => rings.map(corners)), { smoothFactor: 0.5, color })
        : L.circleMarker(at(...start), { radius: 4 + 8 * score, color });
      const seep = { label, score, values, shape, site, origin: at(...start), visible: true };
      shape.seep = seep;
      shape.setStyle(style(seep));
      group.addLayer(shape);
      return seep;
    });
    group.on("click", (event) => {
      L.DomEvent.stopPropagation(event);
      const { seep } = event.layer;
      select(seep, event.latlng);
      // On a phone the list does not scroll by itself, and this does nothing.
      if (seep.entry.isConnected) list.scrollTop = seep.entry.offsetTop - list.offsetTop - list.clientHeight / 2;
    });
    map.on("popupclose", () => select(null));
    slider.addEventListener("input", update);
    boxes.forEach((box) => box.addEventListener("change", update));
    all.addEventListener("change", () => {
      boxes.forEach((box) => { box.checked = all.checked && !box.disabled; });
      update();
    });
    update();

    function style(seep) {
      const chosen = seep === selected, { visible } = seep;
      // Leaflet takes ten times as long to take a polygon off and put it on again.
      return { weight: chosen ? 3 : 1.5, fillOpacity: chosen ? 0.05 : 0.25, stroke: visible, fill: visible,
        interactive: visible };
    }

    function entry(seep) {
      const sizes = data.shown.map((wanted) => data.fields.findIndex(([name]) => name === wanted));
      const parts = [swatch(seep), text("span", seep.score.toFixed(2)), text("span", title(seep), "name"),
        ...sizes.map((i) => text("span", shown(i, seep.values[i]), "number"))];
      if (seep.site) parts.push(timeLine(seep.site));
      return listed(parts, () => {
        touched = true;
        map.getContainer().scrollIntoView({ block: "nearest" });
        // The pop-up stands above the seep, not on it.
        const above = Math.min(330, map.getSize().y / 2);
        const options = { paddingTopLeft: [60, above], paddingBottomRight: [60, 30], maxZoom: data.picture ? 1 : 4, animate: false };
        const around = seep.shape.getBounds ? seep.shape.getBounds() : L.polygon(places(seep.site.near)).getBounds();
        map.fitBounds(around, options);
        select(seep, top(seep.shape));
      });
    }

    function listed(parts, chosen) {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.append(...parts);
      button.addEventListener("click", chosen);
      item.append(button);
      return item;
    }

    /* Fill the list with the best of the seeps that are shown. */
    function fill() {
      const visible = seeps.filter((seep) => seep.visible);
      list.replaceChildren(...visible.slice(0, most).map(entryOf));
      if (visible.length <= most) return;
      list.append(listed([`${visible.length - most} more`], () => {
        most += 200;
        fill();
        entryOf(visible[most - 200]).firstChild.focus();
      }));
    }

    function entryOf(seep) {
      seep.entry ??= entry(seep);
      return seep.entry;
    }

    function select(seep, place) {
      const before = selected;
      if (before === seep && !place) return;
      selected = seep;
      if (before) {
        before.shape.setStyle(style(before));
        entryOf(before).firstChild.removeAttribute("aria-current");
      }
      if (!seep) {
        origin.remove();
        ellipse.remove();
        return;
      }
      seep.shape.setStyle(style(seep)).bringToFront();
      entryOf(seep).firstChild.setAttribute("aria-current", "true");
      // An open pop-up is moved; to close it would clear the choice.
      popup.options.maxHeight = map.getSize().y - 60;
      popup.setLatLng(place).setContent(fields(seep));
      if (!popup.isOpen()) popup.openOn(map);
      if (seep.site) ellipse.setLatLngs(places(seep.site.ellipse)).addTo(map);
      else origin.setLatLng(seep.origin).addTo(map).bringToFront();
    }

    function update() {
      const low = slider.valueAsNumber;
      const on = new Set(boxes.filter((box) => box.checked).map((box) => Number(box.value)));
      all.checked = on.size > 0;
      all.indeterminate = boxes.some((box) => box.checked !== (all.checked && !box.disabled));
      let count = 0;
      for (const seep of seeps) {
        const visible = seep.score >= low && on.has(seep.label);
        count += visible;
        if (visible === seep.visible) continue;
        seep.visible = visible;
        seep.shape.setStyle(style(seep));
      }
      fill();
      if (selected && !selected.visible) popup.remove();
      least.textContent = low.toFixed(2);
      document.getElementById("count").textContent = `${count} of ${seeps.length} ${marksName}`;
    }
  }

  /* Corners of a ring: where it starts, then steps along columns and rows in turn; the last step closes it. */
  function corners([column, row, ...steps]) {
    const ring = [at(column, row)];
    steps.forEach((step, i) => {
      if (i % 2) row += step;
      else column += step;
      ring.push(at(column, row));
    });
    return ring;
  }

  function places(ring) {
    return ring.map(([column, row]) => at(column, row));
  }

  function placeName(x, y, column, row) {
    if (!data.corner) return `column ${column}, row ${row}`;
    const [lon, lat, perColumn, perRow] = data.corner;
    return `${(lat + perRow * y).toFixed(3)}°, ${(lon + perColumn * x).toFixed(3)}°`;
  }

  /* The uppermost corner of a polygon, or the place of a dot. */
  function top(shape) {
    if (!shape.getLatLngs) return shape.getLatLng();
    return shape.getLatLngs().flat(2).reduce((best, corner) => (corner.lat > best.lat ? corner : best));
  }

  function fields(seep) {
    const box = document.createElement("div"), head = document.createElement("h3");
    const table = document.createElement("table");
    head.append(swatch(seep), text("span", title(seep), "name"));
    const rows = [["class", String(seep.label)], [numberName, seep.score.toFixed(2)]];
    data.fields.forEach(([, label], i) => {
      if (seep.values[i] === null) return;
      const last = rows[rows.length - 1], value = shown(i, seep.values[i]);
      if (last[0] === label) last[1] += `, ${value}`;
      else rows.push([label, value]);
    });
    for (const [label, value] of rows) {
      const row = table.insertRow();
      row.append(text("th", label), text("td", value));
    }
    box.append(head, table);
    if (seep.site) box.append(timeLine(seep.site), dates());
    return box;
  }

  /* A bar for each pass, high where it shows a slick. */
  function timeLine({ days, seen }) {
    const name = "http://www.w3.org/2000/svg", line = document.createElementNS(name, "svg");
    const span = Math.max(data.days, 1), bars = ["", ""];
    let day = 0;
    days.forEach((step, i) => {
      day += step;
      const x = (5 + 990 * day / span).toFixed(1), isSeen = Number(seen[i]);
      bars[isSeen] += isSeen ? `M${x} 0v20` : `M${x} 13v7`;
    });
    line.setAttribute("viewBox", "0 0 1000 20");
    line.setAttribute("preserveAspectRatio", "none");
    line.setAttribute("role", "img");
    line.setAttribute("aria-label", `${[...seen].filter((bar) => bar === "1").length} of ${seen.length} passes show a slick`);
    line.classList.add("timeline");
    bars.forEach((path, i) => {
      const bar = document.createElementNS(name, "path");
      bar.setAttribute("d", path);
      bar.classList.add(i ? "seen" : "unseen");
      line.append(bar);
    });
    return line;
  }

  function dates() {
    const box = document.createElement("div");
    box.className = "dates";
    box.append(...data.dates.map((date) => text("span", date)));
    return box;
  }

  function title(seep) {
    return seep.site ? seep.site.title : className(seep);
  }

  function className(seep) {
    return data.classes[seep.label - 1][0];
  }

  function swatch(seep) {
    const square = text("span", "", "swatch");
    square.style.background = data.classes[seep.label - 1][1];
    return square;
  }

  function shown(i, value) {
    const unit = data.fields[i][2];
    if (value === null) return "";
    if (unit === "column" || unit === "row") return `${unit} ${value}`;
    return unit.startsWith("°") ? value + unit : `${value} ${unit}`.trim();
  }

  function text(tag, content, name = "") {
    const element = document.createElement(tag);
    element.textContent = content;
    element.className = name;
    return element;
  }
})();
