// What Streamlit calls: one wall for each place, which lives through its reruns.

const walls = new WeakMap();

export default function (component) {
  const place = component.parentElement;
  const known = walls.get(place);
  if (known) known.update(component);
  else walls.set(place, new Wall(place, component));
  return () => {
    if (place.isConnected) return;
    walls.get(place)?.close();
    walls.delete(place);
  };
}
