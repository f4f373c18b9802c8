const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/chat`);
const [form, list] = ["form", "ul"].map((name) => document.querySelector(name));
socket.onmessage = ({ data }) => {
  const item = document.createElement("li");
  item.textContent = data;
  list.append(item);
};
form.onsubmit = (event) => {
  event.preventDefault();
  socket.send(form.firstElementChild.value);
  form.reset();
};
