  /* Colors are CSS variables, so that one figure serves light, dark and print. */
  function colored(value, styles, isColor = false) {
    if (Array.isArray(value)) return isColor || typeof value[0] === "object" ? value.map((item) => colored(item, styles, isColor)) : value;
    if (value && typeof value === "object") {
      const result = {};
      for (const key of Object.keys(value)) result[key] = colored(value[key], styles, /color$|colorscale$/.test(key));
      return result;
    }
    const variable = isColor && typeof value === "string" && /^var\((--[\w-]+)\)$/.exec(value);
    return variable ? styles.getPropertyValue(variable[1]).trim() : value;
  }
