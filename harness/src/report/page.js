"use strict";
(function () {
  var form = document.getElementById("filter");
  form.hidden = false;
  var show = function () {
    var kind = form.elements.kind.value;
    var text = form.elements.text.value.trim().toLowerCase();
    var any = false;
    document.querySelectorAll(".index tbody").forEach(function (group) {
      var some = false;
      group.querySelectorAll("tr[data-kind]").forEach(function (row) {
        var own = group.rows[0].textContent + "/" + row.textContent;
        var fits = (!kind || row.dataset.kind === kind) && own.toLowerCase().indexOf(text) >= 0;
        row.hidden = !fits;
        some = some || fits;
      });
      group.hidden = !some;
      any = any || some;
    });
    document.getElementById("none").hidden = any;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  var reveal = function () {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") { at.open = true; }
    }
    if (target) { target.scrollIntoView(); }
  };
  window.addEventListener("hashchange", reveal);
  reveal();
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (one) { one.open = true; });
  });
  window.addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = false; });
  });
})();
