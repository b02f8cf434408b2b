"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const [width, height] = data.size;
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
  const picture = L.imageOverlay(data.picture, bounds, { alt: "SAR image" }).addTo(map);
  // Enlarged pixels keep their edges, on which the polygons lie.
  const sharpen = () => picture.getElement().classList.toggle("sharp", 2 ** map.getZoom() * data.scale > 1.5);
  map.on("zoomend", sharpen);
  sharpen();
  if (data.pixel_m) L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  addCursor();
  if (data.seeps.length) addSeeps();

  function addCursor() {
    const control = L.control({ position: "bottomright" });
    const box = L.DomUtil.create("div", "cursor");
    control.onAdd = () => box;
    control.addTo(map);
    map.on("mousemove click", ({ latlng }) => {
      const column = Math.floor(latlng.lng), row = Math.floor(-latlng.lat);
      const inside = column >= 0 && row >= 0 && column < width && row < height;
      box.textContent = inside ? `column ${column}, row ${row}` : "";
    });
    map.on("mouseout", () => { box.textContent = ""; });
  }

  function addSeeps() {
    const slider = document.getElementById("score"), least = document.getElementById("least");
    const all = document.getElementById("all"), boxes = [...document.querySelectorAll(".legend input")];
    const group = L.featureGroup().addTo(map);
    const popup = L.popup({ maxWidth: 300, autoPanPaddingTopLeft: [52, 10], autoPanPaddingBottomRight: [10, 10] });
    const origin = L.circleMarker([0, 0], { radius: 5, weight: 2, color: "#fff", fillColor: "#000", fillOpacity: 1,
      interactive: false });
    const list = document.getElementById("list");
    let selected = null;
    // A browser lays out thousands of entries in seconds.
    let most = 200;

    const seeps = data.seeps.map(([label, score, start, parts, values]) => {
      const shape = L.polygon(parts.map((rings) => rings.map(corners)), { smoothFactor: 0.5, color: data.classes[label - 1][1] });
      const seep = { label, score, values, shape, origin: at(...start), visible: true };
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
      const size = data.fields.findIndex(([name]) => name === "area_km2" || name === "area_px");
      const parts = [swatch(seep), text("span", seep.score.toFixed(2)), text("span", className(seep), "name"),
        text("span", shown(size, seep.values[size]), "number")];
      return listed(parts, () => {
        touched = true;
        map.getContainer().scrollIntoView({ block: "nearest" });
        // The pop-up stands above the seep, not on it.
        const above = Math.min(330, map.getSize().y / 2);
        const options = { paddingTopLeft: [60, above], paddingBottomRight: [60, 30], maxZoom: 1, animate: false };
        map.fitBounds(seep.shape.getBounds(), options);
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
        return;
      }
      seep.shape.setStyle(style(seep)).bringToFront();
      entryOf(seep).firstChild.setAttribute("aria-current", "true");
      // An open pop-up is moved; to close it would clear the choice.
      popup.options.maxHeight = map.getSize().y - 60;
      popup.setLatLng(place).setContent(fields(seep));
      if (!popup.isOpen()) popup.openOn(map);
      origin.setLatLng(seep.origin).addTo(map).bringToFront();
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
      document.getElementById("count").textContent = `${count} of ${seeps.length} seeps`;
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

  /* The uppermost corner of a polygon. */
  function top(shape) {
    return shape.getLatLngs().flat(2).reduce((best, corner) => (corner.lat > best.lat ? corner : best));
  }

  function fields(seep) {
    const box = document.createElement("div"), head = document.createElement("h3");
    const table = document.createElement("table");
    head.append(swatch(seep), text("span", className(seep), "name"));
    const rows = [["class", String(seep.label)], ["score", seep.score.toFixed(2)]];
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
    return box;
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
    return unit.startsWith("°") ? value + unit : `${value} ${unit}`;
  }

  function text(tag, content, name = "") {
    const element = document.createElement(tag);
    element.textContent = content;
    element.className = name;
    return element;
  }
})();
